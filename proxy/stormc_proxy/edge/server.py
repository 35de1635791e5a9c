"""The HTTP side: one aiohttp application with the API, the callbacks, administration, health and status."""

from __future__ import annotations

import asyncio
import hmac
import json
import re
import signal
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from aiohttp import web

from stormc_proxy.edge.relay import Relay, Relayed, client_id, forwarded, reply
from stormc_proxy.fleet.board import shared_pool
from stormc_proxy.fleet.pool import HEALTHY, LEAVING, Instance
from stormc_proxy.fleet.probe import Prober
from stormc_proxy.flow.body import Body, BodyError, dumped
from stormc_proxy.flow.fanout import Merge, children_of
from stormc_proxy.flow.route import Answer, Broken, Generation, Refusal, Router, error_body, unavailable
from stormc_proxy.http.upstream import UpstreamError
from stormc_proxy.settings import FIXED_AT_START, ROLES, Address, Settings, SettingsError, address_of, from_file
from stormc_proxy.telemetry.journal import Journal, Record, new_id
from stormc_proxy.telemetry.metrics import CONTENT_TYPE, Metrics
from stormc_proxy.workers import Crew, summed_metrics, summed_status

TICK_SECONDS = 1.0
MODELS_SECONDS = 3.0
RESET_SECONDS = 30.0
PATHS = ("/v1/completions", "/v1/chat/completions")
STATUS_PAGE = Path(__file__).with_name("status.html")
_USED = re.compile(rb'"completion_tokens":\s*(\d+)')
_OK = b'{"status":"ok"}'


class Server:
    """The proxy: its state, its background work, its handlers."""

    def __init__(
        self, settings: Settings, config: Path | None, loop: asyncio.AbstractEventLoop, crew: Crew | None = None
    ) -> None:
        """`config` is the file to watch, if there is one; `crew` the other workers."""
        self._settings, self._config, self._loop, self._crew = settings, config, loop, crew
        self.journal = Journal(loop)
        if crew is None:
            self.router = Router(settings, loop, self._tell)
        else:
            pool = shared_pool(crew.board, crew.index)
            self.router = Router(settings, loop, self._tell, pool, crew.callback_path)
        self.metrics = Metrics(self.router)
        self.prober = Prober(self.router)
        self.draining = False
        self._began = time.time()
        self._version = _version_of(config)
        self._idle = asyncio.Event()
        self._idle.set()
        self._background: list[asyncio.Task[None]] = []

    # -- lifecycle -----------------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Probe once, so that the first request knows who is there; then keep at it. One worker probes for all."""
        self._background = [self._loop.create_task(self._tick())]
        if self._probes:
            await self.prober.round()
            await self.prober.settle()
            self._background.append(self._loop.create_task(self._probe()))

    @property
    def _probes(self) -> bool:
        return self._crew is None or self._crew.index == 0

    async def drain(self) -> bool:
        """Refuse new requests and wait for the running ones, whose callbacks still come; False if time ran out."""
        self.draining = True
        self.journal.event("draining", active=self.metrics.active)
        try:
            await asyncio.wait_for(self._idle.wait(), self._settings.drain_seconds)
        except asyncio.TimeoutError:
            return False
        return True

    async def stop(self) -> None:
        """End the background work."""
        for task in self._background:
            task.cancel()
        self.router.close()
        self.journal.event("stopped", active=self.metrics.active)
        self.journal.flush()

    async def _probe(self) -> None:
        await asyncio.sleep(self._settings.probe_interval_seconds)
        await self.prober.run()

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(TICK_SECONDS)
            self.metrics.tick()
            self.router.affinity.listen(self.router.prefill)
            for pool in self.router.pools.values():
                pool.tick()
                pool.sweep()
            self._reload()
            if self._crew is not None and self._crew.orphaned:
                signal.raise_signal(signal.SIGTERM)

    def _reload(self) -> None:
        """Take over a config file that changed on disk. One that cannot be used is logged, and the old one stays."""
        version = _version_of(self._config)
        if self._config is None or version is None or version == self._version:
            return
        self._version = version
        try:
            settings = from_file(self._config, self._settings)
        except SettingsError as error:
            self.journal.event("reload_failed", error=str(error))
            return
        fixed = [name for name in FIXED_AT_START if getattr(settings, name) != getattr(self._settings, name)]
        self._settings = settings = replace(settings, **{name: getattr(self._settings, name) for name in fixed})
        self.router.apply(settings)
        counts = {role: len(settings.addresses(role)) for role in ROLES}
        self.journal.event("reloaded", **counts, waits_for_start=fixed)

    def _tell(self, event: str, instance: Instance) -> None:
        self.metrics.instance_event(event, instance)
        self.journal.event(event, role=instance.role, instance=str(instance.address), failures=instance.failures)
        if event == "added" and self._probes:
            self._loop.call_soon(self.prober.begin, self.router.pools[instance.role], instance)
        if event == "removed":
            self._loop.call_soon(self.router.forget)

    def application(self, metaserver: bool, rest: bool = True) -> web.Application:
        """The application; callbacks may have a port of their own, which serves nothing else."""
        app = web.Application(client_max_size=self._settings.max_body_bytes)
        if metaserver:
            app.router.add_post("/v1/metaserver/{secret:[0-9a-f]{32}}", self.metaserver)
            app.router.add_post("/v1/metaserver/{worker:[0-9]{1,4}}/{secret:[0-9a-f]{32}}", self.metaserver)
        if rest:
            for path in PATHS:
                app.router.add_post(path, self.generate)
            app.router.add_get("/v1/models", self.models)
            app.router.add_post("/reset_prefix_cache", self.reset_prefix_cache)
            app.router.add_post("/instances/{verb:add|remove}", self.instances)
            app.router.add_get("/healthcheck", self.healthcheck)
            app.router.add_get("/livez", self.livez)
            app.router.add_get("/readyz", self.readyz)
            app.router.add_get("/metrics", self.metrics_page)
            app.router.add_get("/status", self.status)
            app.router.add_get("/", self.status_page)
        return app

    # -- the API -------------------------------------------------------------------------------------------------------

    async def generate(self, request: web.Request) -> web.StreamResponse:
        """/v1/completions and /v1/chat/completions."""
        record = Record(request.path, client_id(request) or new_id())
        relay = Relay(request, record, self._loop, self.draining)
        metrics, limit = self.metrics, self._settings.max_requests
        if self._crew is not None:
            limit = -(-limit // self._crew.count)
        admitted = not self.draining and (not limit or metrics.active < limit)
        metrics.active += admitted
        self._idle.clear()
        try:
            if not admitted:
                raise _overloaded(self.draining)
            return await self._generate(request, record, relay)
        except Refusal as refusal:
            record.end = refusal.reason
            return relay.answer(refusal.status, refusal.headers, refusal.body)
        except Broken as broken:
            record.end = "broken"
            return relay.break_off(str(broken))
        except asyncio.CancelledError:
            record.end, record.status = "client_gone", record.status or 499
            raise
        finally:
            metrics.active -= admitted
            if not metrics.active:
                self._idle.set()
            self._finish(record)

    async def _generate(self, request: web.Request, record: Record, relay: Relay) -> Relayed:
        try:
            raw = await request.read()
        except web.HTTPRequestEntityTooLarge:
            message = f"the body is larger than {self._settings.max_body_bytes} bytes"
            raise Refusal.error(413, message, "invalid_request_error") from None
        except web.RequestPayloadError:
            raise Refusal.error(400, "the body is not encoded as its headers say", "invalid_request_error") from None
        body = _checked(raw, record)
        headers = forwarded(request.raw_headers, self._settings.api_key)
        router, path = self.router, record.path
        answer: Answer | None
        children = children_of(body, path == PATHS[1])
        if children:
            for role, pool in router.pools.items():
                if not pool.available():
                    raise unavailable(role)
            merge = Merge(router, path, body, headers, record, relay)
            answer = await merge.answer(children, record.stream)
        else:
            generation = Generation(router, path, body, headers, record, relay if record.stream else None)
            answer = await generation.answer()
        record.end = "complete"
        if answer is None:
            return relay.end()
        used = _USED.search(answer.body, max(0, len(answer.body) - 2048))
        record.tokens = int(used.group(1)) if used else 0
        return relay.answer(answer.head.status, answer.head.headers, answer.body, answer.head.reason)

    def _finish(self, record: Record) -> None:
        seconds = time.perf_counter() - record.began
        self.metrics.finished_request(record, seconds)
        if self._settings.access_log:
            self.journal.write(record.line(seconds))

    async def metaserver(self, request: web.Request) -> web.StreamResponse:
        """Decode's callback: it has room for a KV cache. Answered at once; connectors read no more than that it came.

        A callback twice, or for a request that is over, changes nothing. `--metaserver-ack late` answers as the
        reference does: after the prefill, 404 for an unknown request, 502 for a prefill that failed.
        """
        try:
            raw = await request.read()
            body = Body(raw)
            found = body.values.get("request_id")
            if not isinstance(found, str):
                raise BodyError("request_id is missing")
        except web.HTTPRequestEntityTooLarge:
            return reply(request, 413, error_body(413, "the body is too large", "invalid_request_error"))
        except BodyError as error:
            return reply(request, 400, error_body(400, str(error), "invalid_request_error"))
        worker = request.match_info.get("worker")
        crew = self._crew
        if crew is not None and worker is not None and crew.index != int(worker) < crew.count:
            try:
                return reply(request, *await crew.ask(int(worker), "POST", request.path, raw))
            except UpstreamError as error:
                return reply(request, 502, error_body(502, str(error), "upstream_error"))
        attempt = self.router.callback(request.match_info["secret"], found, body.values.get("remote_host"))
        late = self._settings.metaserver_ack == "late"
        prefill = attempt.called_back(raw.decode()) if attempt is not None else None
        if prefill is None:
            if late:
                return reply(request, 404, error_body(404, "no such request", "not_found"))
            return reply(request, 200, _OK)
        if late and not await asyncio.shield(prefill):
            return reply(request, 502, error_body(502, "the prefill failed", "upstream_error"))
        return reply(request, 200, _OK)

    # -- administration ------------------------------------------------------------------------------------------------

    async def models(self, request: web.Request) -> web.StreamResponse:
        """The models of the first instance that answers."""
        failed = []
        for instance in self._instances(healthy_first=True):
            answer = await self._ask(instance, "GET", "/v1/models", MODELS_SECONDS)
            if answer is not None and answer.head.status == 200:
                return web.Response(body=answer.body, content_type="application/json")
            failed.append(f"http://{instance.address}")
        body = {"error": {"message": "no instance tells its models", "code": 503}, "failed": failed}
        return web.Response(status=503, text=dumped(body), content_type="application/json")

    async def reset_prefix_cache(self, request: web.Request) -> web.StreamResponse:
        """Tell every instance, all at once."""
        query = request.rel_url.raw_query_string
        path = "/reset_prefix_cache" + (f"?{query}" if query else "")
        instances = self._instances()
        self.router.affinity.clear(self.router.prefill)
        answers = await asyncio.gather(*(self._ask(i, "POST", path, RESET_SECONDS) for i in instances))
        failed = [
            f"http://{instance.address}" for instance, answer in zip(instances, answers, strict=True)
            if answer is None or answer.head.status != 200
        ]  # fmt: skip
        if failed:
            return web.json_response({"failed": failed}, status=500)
        return web.Response()

    async def instances(self, request: web.Request) -> web.StreamResponse:
        """Add or remove instances; only with the admin token, and not at all without one configured."""
        token = self._settings.admin_token
        if not token:
            return web.json_response({"error": "off: set PROXY_ADMIN_TOKEN"}, status=403)
        given = request.headers.get("Authorization", "").encode("utf-8", "replace")
        if not hmac.compare_digest(given, f"Bearer {token}".encode()):
            return web.json_response({"error": "wrong token"}, status=401)
        try:
            role, addresses = _named(await request.read())
        except SettingsError as error:
            return web.json_response({"error": str(error)}, status=400)
        if self._crew is not None:
            return web.json_response({"error": "off with several workers: change the config file"}, status=403)
        pool = self.router.pools[role]
        verb = request.match_info["verb"]
        for address in addresses:
            if verb == "remove":
                pool.remove(address)
            elif address not in pool.instances or pool.instances[address].state == LEAVING:
                self.router.spawn(self._welcome(role, address))
        if verb == "add":
            await asyncio.sleep(0.05)  # one that answers its probe is there already when the caller reads the lists
        current = {
            f"current_{each}_instances": [str(i.address) for i in self.router.pools[each] if i.state != LEAVING]
            for each in ROLES
        }
        return web.json_response({"message": f"{verb} {', '.join(map(str, addresses))}", **current})

    async def _welcome(self, role: str, address: Address) -> None:
        """Add an instance once it is healthy, within the reference's number of tries."""
        settings = self._settings
        for number in range(settings.max_waiting_retries + 1):
            if number:
                await asyncio.sleep(settings.waiting_retry_interval)
            try:
                await asyncio.wait_for(self.prober.ask(address), settings.probe_timeout_seconds)
            except (UpstreamError, asyncio.TimeoutError):
                continue
            self.router.pools[role].add(address)
            return
        self.journal.event("not_added", role=role, instance=str(address))

    def _instances(self, healthy_first: bool = False) -> list[Instance]:
        found = [instance for pool in self.router.pools.values() for instance in pool if instance.state != LEAVING]
        return sorted(found, key=lambda i: i.state != HEALTHY) if healthy_first else found

    async def _ask(self, instance: Instance, method: str, path: str, seconds: float) -> Answer | None:
        key = f"Authorization: Bearer {self._settings.api_key}\r\n" if self._settings.api_key else ""
        line, fields = f"{method} {path} HTTP/1.1\r\n".encode(), f"{key}Content-Length: 0\r\n\r\n".encode()

        async def exchange() -> Answer:
            taken: list[Any] = []
            try:
                connection, head = await self.router.upstream.open(instance, line, fields, b"", 0.0, taken.append)
                return Answer(head, await connection.collect(0.0))
            finally:
                for connection in taken:
                    connection.close()

        try:
            return await asyncio.wait_for(exchange(), seconds)
        except (UpstreamError, asyncio.TimeoutError):
            return None

    # -- health and status ---------------------------------------------------------------------------------------------

    async def healthcheck(self, request: web.Request) -> web.StreamResponse:
        """The reference's readiness answer: it counts what is configured."""
        prefill, decode = (sum(1 for i in self.router.pools[role] if i.state != LEAVING) for role in ROLES)
        counts = {"prefill_instances": prefill, "decode_instances": decode, "request_num": self.metrics.active}
        return web.json_response({"status": "ok", **counts})

    async def livez(self, request: web.Request) -> web.StreamResponse:
        """200 while the loop runs."""
        return web.Response(text="ok\n")

    async def readyz(self, request: web.Request) -> web.StreamResponse:
        """200 while there is a usable instance of both roles and no drain."""
        missing = [role for role, pool in self.router.pools.items() if not pool.ready]
        if self.draining:
            return web.Response(status=503, text="draining\n")
        if missing:
            return web.Response(status=503, text=f"no usable instance: {', '.join(missing)}\n")
        return web.Response(text="ok\n")

    async def metrics_page(self, request: web.Request) -> web.StreamResponse:
        """For Prometheus; of all workers."""
        text = self.metrics.text()
        if self._crew is not None and "own" not in request.query:
            others = await self._crew.ask_all("/metrics?own")
            text = summed_metrics([text, *(other.decode() for other in others)])
        return web.Response(body=text.encode(), headers={"Content-Type": CONTENT_TYPE})

    async def status(self, request: web.Request) -> web.StreamResponse:
        """The state of everything as JSON; of all workers."""
        settings = self._settings
        about: Mapping[str, Any] = {
            "mode": settings.mode,
            "ready": all(pool.ready for pool in self.router.pools.values()) and not self.draining,
            "draining": self.draining, "uptimeSeconds": round(time.time() - self._began),
            "maxFailures": settings.max_failures, "probeIntervalSeconds": settings.probe_interval_seconds,
        }  # fmt: skip
        whole = self.metrics.status()
        if self._crew is not None and "own" not in request.query:
            whole = summed_status(whole, await self._crew.ask_all("/status?own"))
        return web.json_response({**about, **whole})

    async def status_page(self, request: web.Request) -> web.StreamResponse:
        """The status for people."""
        return web.Response(
            text=STATUS_PAGE.read_text(encoding="utf-8"), content_type="text/html",
            headers={"Content-Security-Policy": "default-src 'self' 'unsafe-inline'"},
        )  # fmt: skip


def _version_of(path: Path | None) -> tuple[int, int, int] | None:
    """What tells one state of a file from another; links are followed, ConfigMap mounts swap one."""
    try:
        found = path.stat() if path is not None else None
    except OSError:
        return None
    return (found.st_ino, found.st_mtime_ns, found.st_size) if found else None


def _overloaded(draining: bool) -> Refusal:
    if draining:
        return Refusal.error(503, "the proxy is stopping", "service_unavailable", 1, "draining")
    return Refusal.error(429, "too many requests at a time", "rate_limit_error", 1, "too many requests")


def _checked(raw: bytes, record: Record) -> Body:
    """The body, if it can be routed. Raises Refusal."""
    try:
        body = Body(raw)
        values = body.values
        chat = record.path == PATHS[1]
        if chat and (not isinstance(values.get("messages"), list) or not values["messages"]):
            raise BodyError("messages is not a list with at least one message")
        if not chat and values.get("prompt") is None and values.get("prompt_embeds") is None:
            raise BodyError("prompt is missing")
    except BodyError as error:
        raise Refusal.error(400, str(error), "invalid_request_error") from None
    record.stream = bool(values.get("stream"))
    model = values.get("model")
    record.model = model[:128] if isinstance(model, str) else ""
    return body


def _named(raw: bytes) -> tuple[str, list[Address]]:
    """Role and addresses of a request to /instances. Raises SettingsError."""
    try:
        value = json.loads(raw)
    except ValueError:
        raise SettingsError("the body is not JSON") from None
    role = value.get("type") if isinstance(value, dict) else None
    if role not in ROLES:
        raise SettingsError(f"type is neither {' nor '.join(ROLES)}")
    named = value.get("instances")
    named = [named] if isinstance(named, str) else named
    if not isinstance(named, list) or not named or not all(isinstance(text, str) for text in named):
        raise SettingsError("instances is neither host:port nor a list of them")
    return role, [address_of(text) for text in named]
