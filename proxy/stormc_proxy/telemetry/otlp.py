"""Spans to a collector: OTLP over HTTP in JSON (opentelemetry-proto, docs/specification.md), by aiohttp's client.

Without aiohttp, which vLLM's images have, spans still tie the client's trace to the engines'; only the proxy's own part
is missing then.
"""

from __future__ import annotations

import asyncio
import importlib
import os
import socket
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import unquote

from stormc_proxy.telemetry.journal import Journal
from stormc_proxy.telemetry.tracing import Span

INTERVAL_SECONDS = 2.0
POST_SECONDS = 10.0
LAST_SECONDS = 2.0
MOST_WAITING = 4096
"""Spans that wait for a collector; beyond, new ones are dropped."""
BATCH = 512
FAILED = 2
"""trace.proto's STATUS_CODE_ERROR."""


class Exporter:
    """Collects spans, and sends them together."""

    def __init__(self, endpoint: str, resource: Mapping[str, str], journal: Journal) -> None:
        """`endpoint` is the collector's URL without /v1/traces, `resource` says who sends."""
        self._url = endpoint.rstrip("/") + "/v1/traces"
        self._resource, self._journal = resource, journal
        self._waiting: list[Span] = []
        self._headers = _headers(os.environ.get("OTEL_EXPORTER_OTLP_HEADERS", ""))
        self.exported = self.dropped = 0

    def ended(self, span: Span) -> None:
        """Take a span that ended, to be sent with the next batch."""
        if len(self._waiting) < MOST_WAITING:
            self._waiting.append(span)
        else:
            self.dropped += 1

    async def run(self) -> None:
        """Send every few seconds until cancelled, and once more then."""
        try:
            client = importlib.import_module("aiohttp")
        except ImportError:
            self._journal.event("no_otlp", why="aiohttp is not installed; traces have no spans of the proxy")
            return
        timeout = client.ClientTimeout(total=POST_SECONDS)
        async with client.ClientSession(timeout=timeout, headers=self._headers) as session:
            try:
                while True:
                    await asyncio.sleep(INTERVAL_SECONDS)
                    await self._send_all(session, client.ClientError)
            finally:
                await asyncio.wait_for(self._send_all(session, client.ClientError), LAST_SECONDS)

    async def _send_all(self, session: Any, client_error: type[Exception]) -> None:
        while self._waiting:
            batch, self._waiting = self._waiting[:BATCH], self._waiting[BATCH:]
            try:
                async with session.post(self._url, json=encoded(batch, self._resource)) as answer:
                    why = "" if answer.status < 300 else f"status {answer.status}"
            except (client_error, OSError, asyncio.TimeoutError) as error:
                why = type(error).__name__
            if why:
                self.dropped += len(batch)
                self._journal.seldom("otlp_failed", end=why)
                return
            self.exported += len(batch)


def resource_of(app: str, namespace: str) -> dict[str, str]:
    """Who sends, as the semantic conventions name it."""
    service = os.environ.get("OTEL_SERVICE_NAME") or (f"{app}-router" if app else "stormc-proxy")
    attributes = {"service.name": service, "k8s.namespace.name": namespace, "k8s.pod.name": socket.gethostname()}
    return {key: value for key, value in attributes.items() if value}


def encoded(spans: Iterable[Span], resource: Mapping[str, str]) -> dict[str, Any]:
    """An ExportTraceServiceRequest as JSON: ids in hexadecimal, 64-bit numbers as text."""
    scope = {"scope": {"name": "stormc_proxy"}, "spans": [_span(span) for span in spans]}
    return {"resourceSpans": [{"resource": {"attributes": _attributes(resource)}, "scopeSpans": [scope]}]}


def _span(span: Span) -> dict[str, Any]:
    value: dict[str, Any] = {
        "traceId": span.trace, "spanId": span.id, "name": span.name, "kind": span.kind,
        "startTimeUnixNano": str(span.began), "endTimeUnixNano": str(span.ended),
        "attributes": _attributes(span.attributes),
    }  # fmt: skip
    if span.parent:
        value["parentSpanId"] = span.parent
    if span.failed:
        value["status"] = {"code": FAILED, "message": span.failed}
    return value


def _attributes(named: Mapping[str, str | int]) -> list[dict[str, Any]]:
    return [
        {"key": key, "value": {"intValue": str(value)} if isinstance(value, int) else {"stringValue": value}}
        for key, value in named.items()
    ]


def _headers(text: str) -> dict[str, str]:
    """`key=value` pairs with commas between them, values with percent signs, as OpenTelemetry's variable has them."""
    pairs = (pair.partition("=") for pair in text.split(","))
    return {key.strip(): unquote(value.strip()) for key, equals, value in pairs if equals}
