"""One generation's way through prefill and decode: who gets it, what is tried again, and what the client is told.

Layerwise (MooncakeLayerwiseConnector): decode first; when it has room it calls the metaserver back, and prefill then
pushes the KV cache to it. Standard (MooncakeConnectorV1, NIXL): prefill first, then decode pulls. The wire protocol is
that of vllm-ascend's examples/disaggregated_prefill_v1/load_balance_proxy_layerwise_server_example.py and
load_balance_proxy_server_example.py; parameters of the connectors are passed on and never interpreted.
"""

from __future__ import annotations

import asyncio
import ipaddress
import json
import socket
import time
from collections.abc import Callable, Coroutine, Iterable, Sequence
from typing import Any, NamedTuple

from stormc_proxy.fleet.affinity import Affinity
from stormc_proxy.fleet.pool import Instance, Lease, Policy, Pool, decode_load
from stormc_proxy.flow.body import Body, dumped
from stormc_proxy.flow.resume import Said, continued, gave_up, joined, limit, resumable, with_cached_tokens
from stormc_proxy.flow.stream import Output, Stream
from stormc_proxy.http.upstream import Connection, Head, Upstream, UpstreamError
from stormc_proxy.settings import ROLES, Address, Settings
from stormc_proxy.telemetry.journal import Record, new_id, new_secret

RETRY_AFTER_SECONDS = 5
FAREWELL_SECONDS = 30.0
FAREWELLS = 3
ABANDON_SECONDS = 0.25
TOKENIZE_SECONDS = 5.0
_ASKED = (
    "model",
    "prompt",
    "prompt_embeds",
    "messages",
    "add_generation_prompt",
    "continue_final_message",
    "chat_template",
    "chat_template_kwargs",
    "cache_salt",
    "priority",
)
"""Members that say what the prompt is; a request for its KV cache alone needs no others, which an engine may refuse."""
_FETCH = json.dumps(
    {"do_remote_decode": True, "do_remote_prefill": False, "remote_engine_id": None, "remote_block_ids": None,
     "remote_host": None, "remote_port": None}
)  # fmt: skip


class Refusal(Exception):
    """An answer other than the wanted one, for a client that has received nothing yet."""

    def __init__(self, status: int, body: bytes, headers: Sequence[tuple[bytes, bytes]] = (), reason: str = "") -> None:
        """`headers` without framing; `reason` in a few words for the log."""
        super().__init__(status)
        self.status, self.body, self.headers, self.reason = status, body, headers, reason

    @classmethod
    def error(cls, status: int, message: str, kind: str, retry_after: int = 0, reason: str = "") -> Refusal:
        """An error object of the OpenAI API."""
        headers = [(b"Content-Type", b"application/json")]
        if retry_after:
            headers.append((b"Retry-After", b"%d" % retry_after))
        return cls(status, error_body(status, message, kind), headers, reason or kind)

    @classmethod
    def of(cls, head: Head, body: bytes, reason: str) -> Refusal:
        """What an instance answered, as it is."""
        return cls(head.status, body, head.headers, reason)


def error_body(status: int, message: str, kind: str) -> bytes:
    """An error object of the OpenAI API."""
    return dumped({"error": {"message": message, "type": kind, "param": None, "code": status}}).encode()


class Broken(Exception):
    """The answer cannot be completed, and part of it was sent."""


class Answer(NamedTuple):
    """A whole answer of decode."""

    head: Head
    body: bytes


class Unanswered(Exception):
    """An attempt failed at its instance's fault; another instance may answer. `sent`: the instance saw the request."""

    def __init__(self, refusal: Refusal, sent: bool = True) -> None:
        """`refusal` is for the client when nobody else can answer."""
        super().__init__(refusal.reason)
        self.refusal, self.sent = refusal, sent


def unavailable(role: str) -> Refusal:
    """No instance of a role can take a request."""
    message = f"no {role} instance is available"
    return Refusal.error(503, message, "service_unavailable", RETRY_AFTER_SECONDS, f"no {role}")


def upstream_refusal(role: str, error: UpstreamError) -> Refusal:
    """What a client is told of an instance that did not answer."""
    late = "timeout" in error.reason or "in time" in error.reason or "idle" in error.reason
    return Refusal.error(504 if late else 502, f"{role} instance: {error.reason}", "upstream_error", 0, error.reason)


class RetryBudget:
    """Retries as a share of the requests within ten seconds, so that a failing fleet is not hit by multiples."""

    FREE = 64

    def __init__(self, percent: int) -> None:
        """`percent` of the requests may be tried again, beyond the free ones."""
        self.percent, self._requests, self._retries, self._until = percent, 0, 0, 0.0

    def request(self) -> None:
        """A request arrived."""
        self._requests += 1

    def allows(self, now: float) -> bool:
        """Whether one more retry is within the budget; takes it."""
        if now > self._until:
            self._until, self._requests, self._retries = now + 10, self._requests // 2, 0
        if self._retries >= self.FREE + self._requests * self.percent // 100:
            return False
        self._retries += 1
        return True


class Attempt:
    """A request at one decode instance, while it may call the metaserver back."""

    __slots__ = ("body", "connection", "generation", "instance", "key", "prefill", "refusal", "secret", "served")

    def __init__(self, generation: Generation, instance: Instance, body: Body, key: str) -> None:
        """`key` is the request's X-Request-Id at decode and prefill; `secret` is known to this decode alone."""
        self.generation, self.instance, self.body, self.key = generation, instance, body, key
        self.secret = new_secret()
        self.connection: Connection | None = None
        self.prefill: asyncio.Task[bool] | None = None
        self.refusal: Refusal | None = None
        self.served = False
        """Decode speaks or is done: it has its KV cache, or needs none any more."""

    def speaks(self) -> None:
        """Decode's answer begins. From now on a prefill that fails has failed too late to matter."""
        self.served = True

    def taken(self, connection: Connection) -> None:
        """The connection to decode, to be cut when prefill is impossible."""
        self.connection = connection

    def called_back(self, parameters: str) -> asyncio.Task[bool] | None:
        """Start the prefill that decode waits for, once; its result is whether the KV cache is on its way.

        None when decode speaks already: it needs no prefill any more, and whoever asks for one is not decode.
        """
        if self.prefill is None:
            if self.served:
                return None
            if self.connection is not None:
                self.connection.excuse(True)
            self.prefill = self.generation.router.spawn(self._prefill(parameters))
        return self.prefill

    async def _prefill(self, parameters: str) -> bool:
        lease = None
        try:
            lease, _ = await self.generation.prefill(self.body, self.key, parameters, self)
        except Refusal as refusal:
            self.refusal = refusal
            if self.connection is not None and not self.served:
                self.connection.abort("prefill failed")
            return False
        finally:
            if self.connection is not None:
                self.connection.excuse(False)
            if lease is not None:
                lease.release()
        return True

    def close(self, answered: bool) -> None:
        """Decode is done with it. A prefill that still runs is not needed when nobody answered."""
        self.served = True
        if self.connection is not None and not answered:
            self.connection.close()
        if self.prefill is not None and not answered:
            self.prefill.cancel()


class Prefilled(NamedTuple):
    """A KV cache that waits at a prefill instance (standard mode)."""

    lease: Lease
    key: str
    parameters: str
    cached: int


class Router:
    """The state that all requests share: instances, connections, callbacks that are awaited."""

    def __init__(
        self,
        settings: Settings,
        loop: asyncio.AbstractEventLoop,
        tell: Callable[[str, Instance], None],
        pool: type[Pool] = Pool,
        callback_path: str = "",
    ) -> None:
        """Nothing runs yet. `pool` and `callback_path` are those of one worker among several."""
        self.settings, self.loop = settings, loop
        policy = policy_of(settings)
        self.affinity = Affinity(settings.prefix_keys, settings.prefix_weight)
        self._tell = tell
        self.pools = {role: pool(role, settings.addresses(role), policy, loop.time, self._heard) for role in ROLES}
        self.prefill, self.decode = self.pools["prefill"], self.pools["decode"]
        self.upstream = Upstream(loop, settings.connect_timeout_seconds)
        self.rendezvous: dict[str, Attempt] = {}
        self.budget = RetryBudget(settings.retry_budget_percent)
        self.retries = self.recomputes = self.tokens = 0
        self.metaserver_url = f"{settings.metaserver_url}{callback_path}/" if settings.mode == "layerwise" else ""
        self._tasks: set[asyncio.Task[Any]] = set()

    def _heard(self, event: str, instance: Instance) -> None:
        if instance.role == "prefill":
            self.affinity.heard(event, instance)
        self._tell(event, instance)

    def apply(self, settings: Settings) -> None:
        """Take over reloaded settings; running requests go on."""
        self.settings = settings
        self.affinity.weight = settings.prefix_weight
        self.budget.percent = settings.retry_budget_percent
        for role, pool in self.pools.items():
            pool.policy = policy_of(settings)
            pool.replace(settings.addresses(role))
        self.upstream.connect_timeout = settings.connect_timeout_seconds
        self.forget()

    def forget(self) -> None:
        """Close idle connections to instances that are gone."""
        self.upstream.forget(instance.address for pool in self.pools.values() for instance in pool)

    def spawn(self, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        """A task that is kept until it is done."""
        task = self.loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def callback(self, secret: str, request_id: str, remote_host: object) -> Attempt | None:
        """The attempt that decode means; None if it is over, or if it was not this decode that called.

        The id is `cmpl-U-0` or `chatcmpl-U`, of parallel samples `0_cmpl-U-0`, in some releases with a random suffix.
        """
        attempt = self.rendezvous.get(secret)
        if attempt is None or attempt.key not in request_id:
            return None
        return attempt if is_at(attempt.instance.address.host, remote_host) else None

    def close(self) -> None:
        """End what is left."""
        for task in list(self._tasks):
            task.cancel()
        self.upstream.close()


def is_at(host: str, remote_host: object) -> bool:
    """Whether the KV cache would go to the machine of an instance, as far as its address tells.

    A name may stand for a Service with an address of its own, so only a literal address is held against it; one of
    loopback is this machine under any of its addresses.
    """
    try:
        ours, theirs = ipaddress.ip_address(host), ipaddress.ip_address(str(remote_host))
    except ValueError:
        return True
    if ours == theirs or not ours.is_loopback:
        return ours == theirs
    with socket.socket(socket.AF_INET6 if theirs.version == 6 else socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind((str(theirs), 0))
        except OSError:
            return False
    return True


def policy_of(settings: Settings) -> Policy:
    """The pool's part of the settings."""
    return Policy(
        settings.max_failures, settings.cumulative_failures, settings.slow_start_seconds, settings.max_backoff_seconds,
        settings.max_isolated_percent, settings.panic, settings.probe_interval_seconds,
    )  # fmt: skip


class Generation:
    """One prompt, one answer. Streamed answers go to `output`, others are returned."""

    def __init__(
        self, router: Router, path: str, body: Body, headers: bytes, record: Record, output: Output | None
    ) -> None:
        """`headers` are the client's, as lines, to be passed on; `output` is for streams only."""
        self.router, self.path, self.body, self._record = router, path, body, record
        self.chat = path.endswith("/chat/completions")
        self._line, self._fields = b"POST %b HTTP/1.1\r\n" % path.encode(), headers
        settings = router.settings
        self._stream = Stream(output, self.chat, settings.max_recomputes > 0) if output is not None else None
        self._prefilled: Prefilled | None = None
        router.budget.request()

    @property
    def started(self) -> bool:
        """Whether the client has received something."""
        return self._stream is not None and self._stream.started

    async def answer(self) -> Answer | None:
        """The answer; None if it went to the output. Raises Refusal while nothing was sent, Broken afterwards."""
        if self._stream is not None:
            await self._streamed(self._stream)
            return None
        return await self._whole()

    # -- answers that decode gives up ----------------------------------------------------------------------------------

    async def _streamed(self, stream: Stream) -> None:
        body, avoid = self.body, set[Address]()
        while True:
            try:
                instance = (await self._attempts(body, avoid))[1]
            except Refusal as refusal:
                raise self._explained(refusal) from None
            finally:
                self._record.tokens = stream.events
            stream.close()
            if not stream.given_up:
                return
            said, settings = stream.said, self.router.settings
            earlier = len(said.text)
            said.tokens += await self._count(*stream.take(), instance, said.text[earlier:])
            wanted = limit(self.body, self.chat)
            if wanted is not None and said.tokens >= wanted:
                stream.finish_at_limit()
                return
            if not resumable(self.body, said, self.chat):
                raise Broken("the answer was given up for recomputation and cannot be resumed")
            self._recompute(settings)
            body = continued(self.body, said, self.chat, settings.chat_resume == "first-message")
            avoid = {instance.address}

    async def _whole(self) -> Answer:
        said, body, first, avoid = Said(), self.body, None, set[Address]()
        while True:
            answer, instance = await self._attempts(body, avoid)
            assert answer is not None
            if b"recomputed" not in answer.body and first is None:
                return answer
            try:
                value = json.loads(answer.body)
            except ValueError:
                return answer
            if not isinstance(value, dict) or not gave_up(value):
                if first is not None and isinstance(value, dict):
                    return Answer(answer.head, dumped(joined(value, first, said, self.chat)).encode())
                return answer
            self._recompute(self.router.settings)
            before = first
            first = first or value
            earlier = len(said.text)
            known, _ = said.add([value], self.chat)
            count = await self._count(known, 0, instance, said.text[earlier:])
            said.tokens += count
            wanted = limit(self.body, self.chat)
            if not resumable(self.body, said, self.chat):
                said, body, first = Said(), self.body, None  # nothing was sent: the whole answer once more
            elif wanted is not None and said.tokens >= wanted:
                return Answer(answer.head, _at_limit(value, before, said, count, self.chat))
            else:
                in_first = self.router.settings.chat_resume == "first-message"
                body = continued(self.body, said, self.chat, in_first)
            avoid = {instance.address}

    def _recompute(self, settings: Settings) -> None:
        self._record.recomputes += 1
        self.router.recomputes += 1
        if self._record.recomputes > settings.max_recomputes:
            message = f"the answer was given up for recomputation more than {settings.max_recomputes} times"
            if self.started:
                raise Broken(message)
            raise Refusal.error(503, message, "service_unavailable", RETRY_AFTER_SECONDS, "recomputed too often")

    async def _count(self, known: int | None, chunks: int, instance: Instance, text: str) -> int:
        """How many tokens an attempt took: what the answer tells, else what the engine counts, else its chunks."""
        if known is not None:
            return known
        if not text:
            return 0
        counted = await self._tokenized(instance, text)
        return (chunks or len(text) // 4) if counted is None else counted

    async def _tokenized(self, instance: Instance, text: str) -> int | None:
        """vLLM's own count of a text's tokens; None if it has none to offer."""
        model = self.body.values.get("model")
        content = dumped({"model": model, "prompt": text, "add_special_tokens": False}).encode()
        try:
            exchange = self._exchange(instance, content, new_id(), None, b"POST /tokenize HTTP/1.1\r\n")
            answer = await asyncio.wait_for(exchange, TOKENIZE_SECONDS)
            count = json.loads(answer.body).get("count") if answer.head.status == 200 else None
        except (UpstreamError, asyncio.TimeoutError, ValueError, AttributeError):
            return None
        return count if isinstance(count, int) else None

    # -- attempts ------------------------------------------------------------------------------------------------------

    async def _attempts(self, body: Body, avoid: Iterable[Address]) -> tuple[Answer | None, Instance]:
        """The first attempt's answer that is one; others go to instances that did not fail this request before."""
        router, settings = self.router, self.router.settings
        flow = self._layerwise if settings.mode == "layerwise" else self._standard
        tried: set[Address] = set()
        last: Unanswered | None = None
        try:
            for number in range(max(1, settings.max_retries)):
                if last is not None:
                    if not router.decode.other(tried) or not router.budget.allows(router.loop.time()):
                        break
                    router.retries += 1
                    await asyncio.sleep(settings.retry_delay * 2 ** (number - 1))
                prefer = tried | set(avoid)
                try:
                    return await flow(body, prefer if router.decode.other(prefer) else tried, tried)
                except Unanswered as error:
                    last = error
                except Refusal as refusal:
                    # Nobody is left to try: what the last one did says more.
                    raise last.refusal if last is not None and refusal.reason.startswith("no ") else refusal from None
            assert last is not None
            raise last.refusal
        finally:
            self._drop_prefilled()

    def _pick_decode(self, body: Body, avoid: set[Address], tried: set[Address]) -> Lease:
        lease = self.router.decode.pick(decode_load(body.length), avoid)
        if lease is None:
            raise unavailable("decode")
        tried.add(lease.instance.address)
        self._record.decode = str(lease.instance.address)
        self._record.attempts += 1
        return lease

    async def _layerwise(self, body: Body, avoid: set[Address], tried: set[Address]) -> tuple[Answer | None, Instance]:
        router = self.router
        if not router.prefill.available():
            raise unavailable("prefill")
        lease = self._pick_decode(body, avoid, tried)
        attempt = Attempt(self, lease.instance, body, new_id())
        self._record.key = attempt.key
        router.rendezvous[attempt.secret] = attempt
        url = router.metaserver_url + attempt.secret
        parameters = dumped({"do_remote_decode": False, "do_remote_prefill": True, "metaserver": url})
        answered = False
        try:
            raw = body.rewritten({"kv_transfer_params": parameters})
            answer = await self._decode(lease.instance, raw, attempt.key, attempt, attempt.speaks)
            answered = True
            return answer, lease.instance
        finally:
            del router.rendezvous[attempt.secret]
            lease.release()
            attempt.close(answered)

    async def _standard(self, body: Body, avoid: set[Address], tried: set[Address]) -> tuple[Answer | None, Instance]:
        router = self.router
        if not router.decode.available():
            raise unavailable("decode")
        found = self._prefilled or await self._prefill_first(body)
        self._prefilled = found
        if self._stream is not None:
            self._stream.cached = found.cached
        lease = self._pick_decode(body, avoid, tried)
        attempt = Attempt(self, lease.instance, body, found.key)
        answered = lingers = False

        def first() -> None:
            attempt.speaks()
            found.lease.release()

        try:
            raw = body.rewritten({"kv_transfer_params": found.parameters or None})
            answer = await self._decode(lease.instance, raw, found.key, attempt, first)
            answered = True
        except Unanswered as error:
            if error.sent:
                self._drop_prefilled(tried)  # the instance may have fetched it, and prefill may have freed it
            raise
        except asyncio.CancelledError:
            if attempt.connection is not None:  # else nothing was sent
                self._prefilled = None
                found.lease.release()
                lingers = not attempt.served
                if lingers:
                    router.spawn(self._linger(attempt, lease, found))
            raise
        except Refusal:
            self._drop_prefilled(tried)
            raise
        except BaseException:
            self._prefilled = None
            found.lease.release()
            raise
        finally:
            if not lingers:
                lease.release()
                attempt.close(answered)
        self._prefilled = None
        found.lease.release()
        return _with_cached(answer, found.cached), lease.instance

    async def _linger(self, attempt: Attempt, lease: Lease, found: Prefilled) -> None:
        """Close decode's connection when it has begun to answer, or after a moment; then another one says farewell.

        Closed at once, the engine may never learn of the request, and prefill would keep the KV cache for minutes.
        """
        try:
            end = self.router.loop.time() + ABANDON_SECONDS
            while not attempt.served and self.router.loop.time() < end:
                await asyncio.sleep(ABANDON_SECONDS / 10)
        finally:
            served = attempt.served
            lease.release()
            attempt.close(False)
        if not served and found.parameters:
            await self._farewell(found, {lease.instance.address})

    async def _prefill_first(self, body: Body) -> Prefilled:
        """The KV cache at prefill. A client that leaves ends the prefill, unless it is about to be done."""
        key = self._record.key = new_id()
        task = self.router.spawn(self._fetchable(body, key))
        try:
            found: Prefilled = await asyncio.shield(task)
        except asyncio.CancelledError:
            self.router.spawn(self._abandon(task))
            raise
        return found

    async def _fetchable(self, body: Body, key: str) -> Prefilled:
        lease, content = await self.prefill(body, key, _FETCH)
        try:
            return Prefilled(lease, key, *_prefilled(content))
        except ValueError:
            lease.release()
            raise Refusal.error(502, "prefill instance: malformed answer", "upstream_error") from None

    async def _abandon(self, task: asyncio.Task[Prefilled]) -> None:
        """End a prefill in flight; one that ends in time holds a KV cache that decode has to fetch."""
        await asyncio.wait({task}, timeout=ABANDON_SECONDS)
        if not task.done():
            task.cancel()
            await asyncio.wait({task})
        if not task.cancelled() and task.exception() is None:
            self._prefilled = task.result()
            self._drop_prefilled()

    def _drop_prefilled(self, tried: Iterable[Address] = ()) -> None:
        """Let decode fetch a KV cache that nobody needs any more: it is how prefill learns that it may free it."""
        found, self._prefilled = self._prefilled, None
        if found is not None:
            found.lease.release()
            if found.parameters:
                self.router.spawn(self._farewell(found, tried))

    async def _farewell(self, found: Prefilled, tried: Iterable[Address]) -> None:
        """Ask instances that have not met the request first; those of `tried` only when nobody else takes it."""
        changes: dict[str, str | None] = {key: None for key in self.body.values if key not in _ASKED}
        changes.update(kv_transfer_params=found.parameters, max_tokens="1", min_tokens="0")
        raw = self.body.rewritten(changes)
        asked, avoid = set[Address](), set(tried)
        for _ in range(FAREWELLS):
            lease = self.router.decode.pick(decode_load(len(raw)), asked | avoid)
            if lease is None:
                lease, avoid = self.router.decode.pick(decode_load(len(raw)), asked), set()
            if lease is None:
                return
            asked.add(lease.instance.address)
            try:
                exchange = self._exchange(lease.instance, raw, found.key, self.router.settings)
                answer = await asyncio.wait_for(exchange, FAREWELL_SECONDS)
                if answer.head.status == 200:
                    return
            except (UpstreamError, asyncio.TimeoutError):
                continue
            finally:
                lease.release()

    # -- exchanges -----------------------------------------------------------------------------------------------------

    async def _decode(
        self, instance: Instance, raw: bytes, key: str, attempt: Attempt, first: Callable[[], None]
    ) -> Answer | None:
        """Decode's answer, streamed to the output or returned; `first` is called with its first bytes.

        Raises Unanswered while another instance may be tried, Refusal for an answer that is the client's, Broken when
        part of the answer was sent.
        """
        router, stream = self.router, self._stream
        settings, pool = router.settings, router.decode
        try:
            fields = self._fields + _tail(key, raw)
            connection, head = await router.upstream.open(
                instance, self._line, fields, raw, settings.response_timeout_seconds, attempt.taken
            )
            if stream is not None and head.status == 200:
                stream.begin(connection, head, first)
                await connection.pump(stream, settings.stream_idle_timeout_seconds)
                connection.finish()
                attempt.connection = None
                pool.succeeded(instance)
                return None
            first()
            content = await connection.collect(settings.stream_idle_timeout_seconds)
            connection.finish()
            attempt.connection = None
        except UpstreamError as error:
            if attempt.refusal is not None:
                raise self._explained(attempt.refusal) from None
            pool.failed(instance)
            if self.started:
                raise Broken(f"decode instance: {error.reason}") from None
            raise Unanswered(upstream_refusal("decode", error), error.sent) from None
        if head.status == 200:
            pool.succeeded(instance)
            return Answer(head, content)
        refusal = Refusal.of(head, content, f"decode {head.status}")
        if head.status >= 500 and head.status != 501:
            pool.failed(instance)
            if not self.started:
                raise Unanswered(refusal)
        else:
            pool.succeeded(instance)
        raise self._explained(refusal)

    def _explained(self, refusal: Refusal) -> Refusal | Broken:
        """A refusal as long as nothing was sent: later the stream can only break off, with the same words."""
        return Broken(refusal.body.decode("utf-8", "replace")[:300]) if self.started else refusal

    async def prefill(
        self, body: Body, key: str, parameters: str, attempt: Attempt | None = None
    ) -> tuple[Lease, bytes]:
        """Prefill's answer and the lease on its instance, which the caller releases.

        Instances that fail are replaced until none is left or the attempts are used up; the client notices nothing.
        Nor is one replaced when `attempt` at decode is served: blocks that decode has given to others would be
        written. Raises Refusal.
        """
        router, settings = self.router, self.router.settings
        changes: dict[str, str | None] = {
            "kv_transfer_params": parameters, "stream": "false", "stream_options": None, "max_tokens": "1",
            "min_tokens": "1",
        }  # fmt: skip
        if "max_completion_tokens" in body.values:
            changes["max_completion_tokens"] = "1"
        raw = body.rewritten(changes)
        prompt = router.affinity.prompt(body, self._fields)
        tried: set[Address] = set()
        refusal: Refusal | None = None
        for number in range(max(1, settings.max_retries)):
            if refusal is not None:
                if attempt is not None and attempt.served:
                    break
                if not router.prefill.other(tried) or not router.budget.allows(router.loop.time()):
                    break
                router.retries += 1
                await asyncio.sleep(settings.retry_delay * 2 ** (number - 1))
            lease = router.affinity.pick(router.prefill, prompt, settings.mode, tried)
            if lease is None:
                break
            instance = lease.instance
            tried.add(instance.address)
            self._record.prefill = str(instance.address)
            began, done = time.perf_counter(), False
            try:
                answer = await self._exchange(instance, raw, key, settings)
                if answer.head.status == 200:
                    router.prefill.succeeded(instance)
                    self._record.prefill_seconds = time.perf_counter() - began
                    self._record.cached = router.affinity.answered(prompt, lease, answer.body)
                    done = True
                    return lease, answer.body
                refusal = Refusal.of(answer.head, answer.body, f"prefill {answer.head.status}")
                if answer.head.status < 500 or answer.head.status == 501:
                    router.prefill.succeeded(instance)
                    break
                router.prefill.failed(instance)
            except UpstreamError as error:
                router.prefill.failed(instance)
                refusal = upstream_refusal("prefill", error)
            finally:
                if not done:
                    lease.release()
        raise refusal or unavailable("prefill")

    async def _exchange(
        self, instance: Instance, raw: bytes, key: str, settings: Settings | None, line: bytes = b""
    ) -> Answer:
        """A request whose answer is needed as a whole; its connection is closed when that fails or is cancelled."""
        taken: list[Connection] = []
        response = settings.response_timeout_seconds if settings else 0.0
        idle = settings.stream_idle_timeout_seconds if settings else 0.0
        whole = False
        try:
            fields = self._fields + _tail(key, raw)
            connection, head = await self.router.upstream.open(
                instance, line or self._line, fields, raw, response, taken.append
            )
            content = await connection.collect(idle)
            connection.finish()
            whole = True
            return Answer(head, content)
        finally:
            if not whole:
                for connection in taken:
                    connection.close()


def _tail(key: str, raw: bytes) -> bytes:
    return b"X-Request-Id: %b\r\nContent-Length: %d\r\n\r\n" % (key.encode(), len(raw))


def _prefilled(content: bytes) -> tuple[str, int]:
    """The connector's parameters as JSON text, empty if there are none, and the number of cached prompt tokens."""
    value = json.loads(content)
    parameters = value.get("kv_transfer_params") if isinstance(value, dict) else None
    usage = value.get("usage") if isinstance(value, dict) else None
    details = usage.get("prompt_tokens_details") if isinstance(usage, dict) else None
    cached = details.get("cached_tokens") if isinstance(details, dict) else None
    return dumped(parameters) if parameters else "", cached if isinstance(cached, int) else 0


def _with_cached(answer: Answer | None, cached: int) -> Answer | None:
    if answer is None or b'"usage"' not in answer.body:
        return answer
    try:
        value = json.loads(answer.body)
    except ValueError:
        return answer
    if not isinstance(value, dict) or not isinstance(value.get("usage"), dict):
        return answer
    value["usage"] = with_cached_tokens(value["usage"], cached)
    return Answer(answer.head, dumped(value).encode())


def _at_limit(value: dict[str, Any], before: dict[str, Any] | None, said: Said, count: int, chat: bool) -> bytes:
    """The answer of an attempt that was given up exactly at the budget's end, as the engine ends one there."""
    own = value["choices"][0]
    text = own["message"].get("content") if chat else own.get("text")
    earlier = Said(
        said.text[: len(said.text) - len(text or "")], [], True, said.tokens - count, said.prompt_tokens,
        said.logprobs[:-1] if isinstance(own.get("logprobs"), dict) else said.logprobs,
    )  # fmt: skip
    whole = joined(value, before or value, earlier, chat)
    for choice in whole["choices"]:
        choice.update(finish_reason="length", stop_reason=None)
    return dumped(whole).encode()
