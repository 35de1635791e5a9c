"""Layerwise (MooncakeLayerwiseConnector): decode first; when it has room it calls back, and prefill pushes to it.

    client ──▶ decode: the request, with the metaserver's URL
               decode ──▶ metaserver: where its blocks are
                          prefill: the same request for one token, with what decode posted; it pushes layer by layer
    client ◀── decode: the answer

The wire protocol is that of vllm-ascend's load_balance_proxy_layerwise_server_example.py. What decode posts is passed
on and never interpreted. A prefill that fails is replaced inside the callback: decode's parameters name only decode,
and decode goes on waiting.
"""

from __future__ import annotations

from stormc_proxy.fleet.instance import Instance
from stormc_proxy.flow import decode
from stormc_proxy.flow.api import decode_changes
from stormc_proxy.flow.attempt import Attempt
from stormc_proxy.flow.body import Body
from stormc_proxy.flow.cached_tokens import answer_with_cached
from stormc_proxy.flow.exchange import Answer
from stormc_proxy.flow.prefill import PrefillReport, prefill
from stormc_proxy.flow.refusal import Refusal, unavailable
from stormc_proxy.flow.request import ClientRequest
from stormc_proxy.http.deadline import Deadline
from stormc_proxy.outcomes import Outcome
from stormc_proxy.random_ids import new_id
from stormc_proxy.settings import Address

_ASKED = '{"do_remote_decode":false,"do_remote_prefill":true,"metaserver":"%s%s"}'


class Layerwise:
    """The protocol in which prefill pushes to a decode instance that waits; all attempts for one body."""

    def __init__(self, request: ClientRequest, body: Body) -> None:
        """Sends nothing before `ask`."""
        self._request, self._body = request, body
        self._cached: int | None = None
        self._waits: Deadline | None = None

    async def ask(self, avoid: set[Address], tried: set[Address]) -> tuple[Answer | None, Instance]:
        """One attempt. Raises Unanswered, Refusal, Broken."""
        request, router = self._request, self._request.router
        if not router.prefill.available():
            raise unavailable("prefill")
        lease = decode.pick(request, self._body, avoid, tried)
        attempt = Attempt(lease.instance, new_id(), lambda parameters: self._prefill(attempt, parameters))
        request.record.key = attempt.key
        router.rendezvous[attempt.secret] = attempt
        parameters = _ASKED % (router.callback_url, attempt.secret)
        answered, how_it_ended = False, "is left"
        try:
            raw = self._body.pieces(decode_changes(request.api, attempt.key, parameters))
            answer = await decode.ask(request, attempt, raw, lambda: self._first(attempt))
            answered, how_it_ended = True, "ends"
            return answer_with_cached(answer, self._cached, add=False), lease.instance
        except Exception:
            how_it_ended = "fails"
            raise
        finally:
            del router.rendezvous[attempt.secret]
            lease.release()
            if self._waits is not None:
                self._stop_waiting()
            attempt.close(answered, how_it_ended)

    def close(self) -> None:
        """Nothing is kept between attempts."""

    def _first(self, attempt: Attempt) -> None:
        if self._waits is not None:
            self._stop_waiting()
        attempt.speaks()

    async def _prefill(self, attempt: Attempt, parameters: str) -> bool:
        """The prefill that decode waits for; whether the KV cache is on its way."""
        request, lease = self._request, None
        try:
            lease, report = await prefill(request, self._body, attempt.key, parameters, attempt)
        except Exception as error:
            attempt.refusal = error if isinstance(error, Refusal) else Refusal.own(Outcome.BUG)
            attempt.step("prefill fails")
            if attempt.connection is not None and not attempt.served:
                attempt.connection.abort(Outcome.PREFILL_FAILED)
            if attempt.refusal is not error:
                request.router.loop.call_exception_handler({"message": "a prefill failed", "exception": error})
            return False
        finally:
            if attempt.connection is not None:  # decode may be done long since, and its connection another request's
                attempt.connection.excuse(False)
            if lease is not None:
                lease.release()
        attempt.step("prefilled")
        self._note(report)
        self._wait(attempt)
        return True

    def _note(self, report: PrefillReport) -> None:
        """Decode gets every block from prefill, so it takes all of them for cached; prefill knows better."""
        self._cached = report.cached
        if self._request.stream is not None:
            self._request.stream.tell_prompt(report.prompt, report.cached, add=False)

    def _wait(self, attempt: Attempt) -> None:
        """Decode has its KV cache now. A push that got lost would leave its stream silent for ever."""
        seconds, connection = self._request.router.settings.first_event_timeout_seconds, attempt.connection
        if seconds and connection is not None and self._request.stream is not None and not attempt.served:
            loop = self._request.router.loop
            self._waits = Deadline(loop, seconds, lambda: connection.abort(Outcome.SILENT))

    def _stop_waiting(self) -> None:
        waits, self._waits = self._waits, None
        if waits is not None:
            waits.cancel()
