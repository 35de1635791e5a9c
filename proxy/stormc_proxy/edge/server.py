"""The proxy as a whole: its parts, its background work, its beginning and its end."""

from __future__ import annotations

import asyncio
import os
import secrets
import signal
import traceback
from dataclasses import replace
from pathlib import Path
from typing import Any

from stormc_proxy.edge.admin import Admin
from stormc_proxy.edge.admission import Admission
from stormc_proxy.edge.callbacks import PATH, Callbacks
from stormc_proxy.edge.client_keys import InboundKeys
from stormc_proxy.edge.connection import ClientConnection
from stormc_proxy.edge.engine_requests import EngineRequests
from stormc_proxy.edge.listener import Listener, Responder
from stormc_proxy.edge.pages import Pages
from stormc_proxy.edge.peering import Peering
from stormc_proxy.edge.routes import CallbackRoutes, Routes
from stormc_proxy.edge.sockets import OWN_DESCRIPTORS, PER_REQUEST, bound, listen
from stormc_proxy.fleet.instance import Instance
from stormc_proxy.fleet.peers import Sender
from stormc_proxy.fleet.probe import Prober
from stormc_proxy.fleet.shared_pool import shared_pool
from stormc_proxy.flow.router import Router
from stormc_proxy.http.endpoint import OWN_LIMITS
from stormc_proxy.http.tls import Tls, of_clients
from stormc_proxy.options import FIXED_AT_START
from stormc_proxy.outcomes import Outcome
from stormc_proxy.settings import ROLES, Address, Settings, SettingsError, from_file
from stormc_proxy.telemetry.journal import Journal
from stormc_proxy.telemetry.loop_lag import LoopLag
from stormc_proxy.telemetry.metrics import Metrics
from stormc_proxy.telemetry.otlp import Exporter, resource_of
from stormc_proxy.telemetry.tracing import Tracer
from stormc_proxy.workers import Crew

TICK_SECONDS = 1.0


class Server:
    """One process of the proxy."""

    def __init__(
        self, settings: Settings, config: Path | None, loop: asyncio.AbstractEventLoop, crew: Crew | None = None,
        journal: Journal | None = None,
    ) -> None:  # fmt: skip
        """`config` is the file to watch, if there is one; `crew` the other workers. Raises OSError for keys."""
        self._settings, self._config, self._loop, self._crew = settings, config, loop, crew
        self.journal = journal or Journal(loop)
        pool = {} if crew is None else {"pool": shared_pool(crew.table, crew.index)}
        self.router = Router(settings, loop, self._instance_changed, unresolved=self._unresolved, **pool)
        self.lag = LoopLag(loop, self._stalled)
        self.metrics = Metrics(self.router, self.lag, crew.index if crew is not None else None)
        self.prober = Prober(self.router)
        self._descriptors = 0
        self.admission = Admission(0, 0)
        self._limit(settings)
        self.tls = of_clients(settings.tls_cert_file, settings.tls_key_file, settings.tls_client_ca_file)
        self.keys = InboundKeys(settings.inbound_keys_file, settings.inbound_keys)
        self.exporter = _exporter(settings, self.journal)
        self.tracer = Tracer(settings.trace_percent, self.exporter.ended) if self.exporter is not None else None
        self.engine_requests = EngineRequests(
            self.router, self.metrics, self.journal, self.admission, self.keys, self.tracer
        )
        self.callbacks = Callbacks(self.router, self.journal)
        self._pages = Pages(self.router, self.metrics, crew, lambda: self.draining)
        self._admin = Admin(self.router, self.prober, self.journal, crew is None)
        self._version = _version_of(config)
        self._background: list[asyncio.Task[None]] = []
        self._listeners: list[Listener] = []
        self._servers: list[asyncio.Server] = []
        self.port = self.callback_port = 0

    # -- lifecycle -----------------------------------------------------------------------------------------------------

    @property
    def draining(self) -> bool:
        """Whether it takes no more requests."""
        return self.engine_requests.draining

    async def start(self) -> None:
        """Probe once, so that the first request knows who is there; then keep at it. One worker probes for all."""
        self._loop.set_exception_handler(self._failed)
        crew = self._crew
        sender = Sender(secrets.randbits(64), 0) if crew is None else Sender(crew.table.pod, crew.index)
        peering = Peering(self.router, sender, self._loop)
        self._background = [self._loop.create_task(self._tick()), self._loop.create_task(peering.run())]
        if self.exporter is not None:
            self._background.append(self._loop.create_task(self.exporter.run()))
        if self._probes:
            await self.prober.round()
            await self.prober.settle()
            self._background.append(self._loop.create_task(self._probe()))

    async def listen(self) -> None:
        """Take connections: of clients, of decode, of other workers. Raises OSError."""
        settings, crew = self._settings, self._crew
        layerwise = settings.mode == "layerwise"
        apart = layerwise and (not settings.metaserver_port or settings.metaserver_port != settings.port)
        routes = Routes(self.engine_requests, self._pages, self._admin, self._shared_callbacks(apart), self._ended)
        self.port = await self._serve(routes.respond, settings.port, self.tls, shared=crew is not None)
        if layerwise:
            tls = self.tls if settings.metaserver_tls or not apart else None
            callback_port = settings.metaserver_port + (
                crew.index if crew is not None and settings.metaserver_port else 0
            )
            answers = CallbackRoutes(self.callbacks, self._ended).respond
            self.callback_port = await self._serve(answers, callback_port, tls) if apart else self.port
            scheme = "http" if tls is None else "https"
            self.router.callback_url = f"{scheme}://{Address(settings.advertised, self.callback_port)}{PATH}"
        if crew is not None:
            listener = self._listener(routes.respond)
            self._servers += await listen(lambda: ClientConnection(listener), [crew.listening()])

    def _shared_callbacks(self, apart: bool) -> Callbacks | None:
        return self.callbacks if self._settings.mode == "layerwise" and not apart else None

    async def _serve(self, respond: Responder, port: int, tls: Tls | None, shared: bool = False) -> int:
        """Listen on a port, 0 for any; which one it is."""
        listener = self._listener(respond)
        sockets = bound(self._settings.host, port, shared)
        self._servers += await listen(lambda: ClientConnection(listener), sockets, tls)
        return int(sockets[0].getsockname()[1])

    def _listener(self, respond: Responder) -> Listener:
        listener = Listener(self._loop, self.router.settings, self.admission, respond, self._ended)
        self._listeners.append(listener)
        return listener

    @property
    def _probes(self) -> bool:
        return self._crew is None or self._crew.index == 0

    def check_descriptors(self, count: int) -> None:
        """Let in no more requests than there are descriptors for, and say when those are fewer than wanted."""
        needed, self._descriptors = PER_REQUEST * self.admission.max_requests, count
        if count < needed:
            self._limit(self._settings)
            most = self.admission.max_requests
            self.journal.event("few_descriptors", descriptors=count, needed=needed, max_requests=most)

    def _limit(self, settings: Settings) -> None:
        """This worker's share of what may run at a time."""
        workers = self._crew.count if self._crew is not None else 1
        requests = -(-settings.max_requests // workers)
        if self._descriptors:
            most = max(1, (self._descriptors - OWN_DESCRIPTORS) // PER_REQUEST)
            requests = min(requests, most) if requests else most
        self.admission.max_requests, self.admission.max_bytes = requests, -(-settings.max_inflight_bytes // workers)

    async def drain(self) -> bool:
        """Refuse new requests and wait for the running ones, whose callbacks still come; False if time ran out."""
        self.engine_requests.draining = True
        for listener in self._listeners:
            listener.draining = True
        self.journal.event("draining", active=self.metrics.active)
        try:
            await asyncio.wait_for(self.engine_requests.idle.wait(), self._settings.drain_seconds)
        except asyncio.TimeoutError:
            return False
        return True

    async def stop(self) -> None:
        """Close what is open and end the background work."""
        for task in self._background:
            task.cancel()
        await asyncio.gather(*self._background, return_exceptions=True)
        self.prober.close()
        for server in self._servers:
            server.close()
        await asyncio.sleep(0)  # what was written last goes out
        for listener in self._listeners:
            listener.close()
        self.lag.close()
        self.router.close()
        self.journal.event("stopped", active=self.metrics.active)
        self.journal.close()

    # -- background work -----------------------------------------------------------------------------------------------

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
        """Take over files that changed on disk. What cannot be used is logged, and the old settings stay."""
        files = {"keys": self.keys, "tls": self.tls, "engine_tls": self.router.upstream.tls}
        for name, file in files.items():
            try:
                if file is not None and file.refresh():
                    self.journal.event(f"{name}_reloaded")
            except (OSError, UnicodeDecodeError) as error:
                self.journal.seldom("reload_failed", end=name, error=type(error).__name__)
        self._reload_config()

    def _reload_config(self) -> None:
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
        for listener in self._listeners:
            listener.settings = settings
        self._limit(settings)
        if self.tracer is not None:
            self.tracer.percent = settings.trace_percent
        counts = {role: len(settings.addresses(role)) for role in ROLES}
        self.journal.event("reloaded", **counts, waits_for_start=fixed)

    # -- what is told --------------------------------------------------------------------------------------------------

    def _instance_changed(self, event: str, instance: Instance) -> None:
        self.metrics.instance_event(event, instance)
        why = {"why": instance.last_failure} if event == "isolated" else {}
        self.journal.event(event, role=instance.role, instance=str(instance.address), failures=instance.failures, **why)
        if event == "added" and self._probes:
            self._loop.call_soon(self.prober.begin, self.router.pools[instance.role], instance)
        if event == "removed":
            self._loop.call_soon(self.router.forget)

    def _ended(self, outcome: Outcome) -> None:
        """A request that no engine saw: counted, and told without a word of it."""
        self.metrics.refused_request(outcome)
        self.journal.seldom("refused", end=outcome.text, status=outcome.status)

    def _unresolved(self, name: str) -> None:
        self.journal.seldom("unresolved", name=name)

    def _stalled(self, seconds: float) -> None:
        self.journal.seldom("stalled", seconds=round(seconds, 2))

    def _failed(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """What asyncio would print with a traceback: where, but nothing of what it was about."""
        error = context.get("exception")
        if isinstance(error, OSError) and error.errno in OWN_LIMITS:
            self.journal.seldom("no_descriptors", error=os.strerror(error.errno))
            return
        frames = traceback.extract_tb(error.__traceback__) if isinstance(error, BaseException) else []
        where = f"{Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else ""
        self.metrics.internal_errors += 1
        self.journal.seldom("internal_error", error=type(error).__name__, where=where)


def _exporter(settings: Settings, journal: Journal) -> Exporter | None:
    """What takes spans; None where nobody collects them."""
    endpoint = settings.otlp_endpoint or os.environ.get("OTEL_EXPORTER_OTLP_ENDPOINT", "")
    if not endpoint:
        return None
    return Exporter(endpoint, resource_of(settings.app, settings.namespace), journal)


def _version_of(path: Path | None) -> tuple[int, int, int] | None:
    """What tells one state of a file from another; links are followed, ConfigMap mounts swap one."""
    try:
        stat = path.stat() if path is not None else None
    except OSError:
        return None
    return (stat.st_ino, stat.st_mtime_ns, stat.st_size) if stat else None
