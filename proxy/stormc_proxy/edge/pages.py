"""What probes, Prometheus and people ask: health, metrics, status."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable, Coroutine, Mapping
from pathlib import Path
from typing import Any

import stormc_proxy
from stormc_proxy.edge.connection import Request
from stormc_proxy.fleet.instance import LEAVING
from stormc_proxy.flow.router import Router
from stormc_proxy.http.reply import Reply, json_reply, text_reply
from stormc_proxy.settings import ROLES
from stormc_proxy.telemetry.latency import percentile
from stormc_proxy.telemetry.metrics import CONTENT_TYPE, Metrics
from stormc_proxy.workers import Crew, summed_metrics, summed_status

VERSION = "PROXY_VERSION"
"""Variable with the version of the proxy's source, where the compiler rendered it."""

STATUS_PAGE = Path(stormc_proxy.__file__).with_name("status.html")


class Pages:
    """One worker's; those of the others are asked for theirs."""

    def __init__(self, router: Router, metrics: Metrics, crew: Crew | None, draining: Callable[[], bool]) -> None:
        """`draining` tells whether the proxy is about to stop."""
        self._router, self._metrics, self._crew, self._draining = router, metrics, crew, draining
        self._began = time.time()

    def healthcheck(self, request: Request) -> Reply:
        """The reference's readiness answer: it counts what is configured."""
        prefill, decode = (sum(1 for i in self._router.pools[role] if i.state != LEAVING) for role in ROLES)
        counts = {"prefill_instances": prefill, "decode_instances": decode, "request_num": self._metrics.active}
        return json_reply(200, {"status": "ok", **counts})

    def livez(self, request: Request) -> Reply:
        """200 while the loop runs."""
        return text_reply(200, "ok\n")

    def readyz(self, request: Request) -> Reply:
        """200 while a request can be served and there is no drain: /health, /ping and /readyz."""
        if self._draining():
            return text_reply(503, "draining\n")
        missing = self._missing()
        if missing:
            return text_reply(503, f"no usable instance: {', '.join(missing)}\n")
        return text_reply(200, "ok\n")

    def _missing(self) -> list[str]:
        """Roles without which nothing can be served."""
        missing = [role for role, pool in self._router.pools.items() if not pool.ready]
        prefill_seen = any(instance.seen for instance in self._router.prefill)
        if missing == ["prefill"] and self._router.settings.fallback and prefill_seen:
            return []  # it was there and will be again; decode serves alone until then
        return missing

    def metrics(self, request: Request) -> Reply | Coroutine[Any, Any, Reply]:
        """Numbers for Prometheus, summed over all workers."""
        if self._crew is None or "own" in request.head.query:
            return _metrics(self._metrics.text())
        return self._all_metrics(self._crew)

    async def _all_metrics(self, crew: Crew) -> Reply:
        others = await crew.ask_all("/metrics?own")
        texts = {crew.index: self._metrics.text(), **{index: text.decode() for index, text in others.items()}}
        return _metrics(summed_metrics(texts, crew.index))

    def status(self, request: Request) -> Reply | Coroutine[Any, Any, Reply]:
        """The state of everything as JSON; of all workers."""
        if self._crew is None or "own" in request.head.query:
            return json_reply(200, {**self._about(), **_with_percentiles(self._metrics.status())})
        return self._all_status(self._crew)

    async def _all_status(self, crew: Crew) -> Reply:
        others = await crew.ask_all("/status?own")
        whole = summed_status(self._metrics.status(), others.values())
        return json_reply(200, {**self._about(), **_with_percentiles(whole)})

    def _about(self) -> Mapping[str, Any]:
        settings = self._router.settings
        return {
            "app": settings.app, "namespace": settings.namespace, "model": settings.model,
            "pod": socket.gethostname(), "version": os.environ.get(VERSION, ""), "time": time.time(),
            "mode": settings.mode, "ready": not self._missing() and not self._draining(),
            "draining": self._draining(), "uptimeSeconds": round(time.time() - self._began),
            "maxFailures": settings.max_failures, "probeIntervalSeconds": settings.probe_interval_seconds,
        }  # fmt: skip

    def page(self, request: Request) -> Reply:
        """The status page for people, which reads /status."""
        policy = (b"Content-Security-Policy", b"default-src 'self' 'unsafe-inline'")
        return Reply(200, STATUS_PAGE.read_bytes(), b"text/html; charset=utf-8", (policy,))


def _metrics(text: str) -> Reply:
    return Reply(200, text.encode(), CONTENT_TYPE.encode())


def _with_percentiles(status: dict[str, Any]) -> dict[str, Any]:
    """Seconds to the first token and between tokens of streams, of the last five minutes."""
    for name in ("firstToken", "interToken"):
        counts = status[f"{name}Counts"]
        status[name] = {f"p{percent}": percentile(counts, percent) for percent in (50, 99)}
    return status
