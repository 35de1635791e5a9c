"""Decode alone: it can prefill by itself, and does so while no prefill instance is usable.

Without parameters of a connector it computes the prompt as any vLLM does (vllm_ascend
mooncake_layerwise_connector.py: no remote tokens then). That takes time from the answers that it streams to others, and
is better than none.
"""

from __future__ import annotations

from stormc_proxy.fleet.instance import Instance
from stormc_proxy.flow import decode
from stormc_proxy.flow.api import decode_changes
from stormc_proxy.flow.attempt import Attempt
from stormc_proxy.flow.body import Body
from stormc_proxy.flow.exchange import Answer
from stormc_proxy.flow.request import ClientRequest
from stormc_proxy.random_ids import new_id
from stormc_proxy.settings import Address


class DecodeAlone:
    """A protocol without prefill: decode computes the prompt."""

    def __init__(self, request: ClientRequest, body: Body) -> None:
        """The request counts from now on as one that decode serves alone, and its log line says so."""
        self._request, self._body = request, body
        request.record.alone = True
        request.record.prefill = ""
        request.router.counts.alone += 1

    async def ask(self, avoid: set[Address], tried: set[Address]) -> tuple[Answer | None, Instance]:
        """One attempt. Raises Unanswered, Refusal, Broken."""
        request = self._request
        lease = decode.pick(request, self._body, avoid, tried)
        attempt = Attempt(lease.instance, new_id())
        request.record.key = attempt.key
        answered, how_it_ended = False, "is left"
        try:
            raw = self._body.pieces(decode_changes(request.api, attempt.key, ""))
            answer = await decode.ask(request, attempt, raw, attempt.speaks)
            answered, how_it_ended = True, "ends"
            return answer, lease.instance
        except Exception:
            how_it_ended = "fails"
            raise
        finally:
            lease.release()
            attempt.close(answered, how_it_ended)

    def close(self) -> None:
        """Nothing is kept between attempts."""
