"""Spans: headers that tie a client's trace to the engines', and OTLP to a collector on a real socket."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web

from stormc_proxy.telemetry.tracing import Context, context_of
from tests.proxy.client import question
from tests.proxy.manner import Manner
from tests.proxy.service import Service, service, until

MODES = pytest.mark.parametrize("mode", ["layerwise", "standard"])
TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


@pytest.mark.parametrize(
    ("text", "context"),
    [
        (f"00-{TRACE}-{PARENT}-01", Context(TRACE, PARENT, True)),
        (f"00-{TRACE}-{PARENT}-00", Context(TRACE, PARENT, False)),
        (f"cc-{TRACE}-{PARENT}-03-more", Context(TRACE, PARENT, True)),
        (f"ff-{TRACE}-{PARENT}-01", None),
        (f"00-{'0' * 32}-{PARENT}-01", None),
        (f"00-{TRACE}-{'0' * 16}-01", None),
        (f"00-{TRACE.upper()}-{PARENT}-01", None),
        ("", None),
    ],
)
def test_a_header_says_trace_span_and_whether_it_is_recorded(text: str, context: Context | None) -> None:
    assert context_of(text) == context


class Collector:
    """What OpenTelemetry's collector is to the proxy."""

    def __init__(self) -> None:
        self.status, self.port = 200, 0
        self.posts: list[dict[str, Any]] = []

    @property
    def spans(self) -> list[dict[str, Any]]:
        return [
            span for post in self.posts for part in post["resourceSpans"] for span in part["scopeSpans"][0]["spans"]
        ]

    async def take(self, request: web.BaseRequest) -> web.Response:
        assert (request.method, request.path) == ("POST", "/v1/traces")
        self.posts.append(await request.json())
        return web.json_response({}, status=self.status)


@contextlib.asynccontextmanager
async def collector() -> AsyncIterator[Collector]:
    made = Collector()
    runner = web.ServerRunner(web.Server(made.take))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    made.port = runner.addresses[0][1]
    try:
        yield made
    finally:
        await runner.cleanup()


def named(spans: list[dict[str, Any]], name: str) -> dict[str, Any]:
    (found,) = [span for span in spans if span["name"] == name]
    return found


def attributes(span: dict[str, Any]) -> dict[str, Any]:
    return {each["key"]: next(iter(each["value"].values())) for each in span["attributes"]}


def seen(s: Service) -> dict[str, str]:
    """The header that each role's engine got."""
    return {
        engine.role: request.headers["traceparent"] for engine in (*s.prefill, *s.decode) for request in engine.seen
    }


@MODES
@pytest.mark.parametrize("stream", [True, False])
async def test_a_request_is_one_trace_from_the_client_to_the_engines(mode: str, stream: bool) -> None:
    async with collector() as told:
        endpoint = f"http://127.0.0.1:{told.port}"
        async with service(mode, otlp_endpoint=endpoint, app="chat", namespace="inference") as s:
            headers = {"traceparent": f"00-{TRACE}-{PARENT}-01", "tracestate": "a=b"}
            assert (await s.ask(question(False, stream), headers)).status == 200
            got = seen(s)
            await until(lambda: len(told.spans) == 3, 5.0)
        whole, prefill, decode = (named(told.spans, n) for n in ("POST /v1/completions", "prefill", "decode"))
        assert {span["traceId"] for span in told.spans} == {TRACE}
        assert (whole["parentSpanId"], prefill["parentSpanId"], decode["parentSpanId"]) == (
            PARENT, whole["spanId"], whole["spanId"],
        )  # fmt: skip
        assert got == {
            "prefill": f"00-{TRACE}-{prefill['spanId']}-01",
            "decode": f"00-{TRACE}-{decode['spanId']}-01",
        }
        assert int(whole["startTimeUnixNano"]) <= int(prefill["startTimeUnixNano"]) < int(prefill["endTimeUnixNano"])
        assert int(prefill["endTimeUnixNano"]) <= int(whole["endTimeUnixNano"])
        assert attributes(whole)["http.response.status_code"] == "200" and "status" not in whole
        (resource,) = {str(post["resourceSpans"][0]["resource"]) for post in told.posts}
        assert "chat-router" in resource and "inference" in resource


@MODES
async def test_an_attempt_that_failed_is_a_span_that_failed(mode: str) -> None:
    async with collector() as told, service(mode, otlp_endpoint=f"http://127.0.0.1:{told.port}") as s:
        await s.decode[0].behave(Manner(fault="500"))
        await s.decode[1].behave(Manner(fault="500"))
        assert (await s.ask(question(False, False))).status == 500
        await until(lambda: any(span["name"].startswith("POST") for span in told.spans), 5.0)
        failed = [span for span in told.spans if span["name"] == "decode"]
        assert [span["status"] for span in failed] == [{"code": 2, "message": "decode 500"}] * 2
        assert named(told.spans, "POST /v1/completions")["status"]["code"] == 2
        assert len({span["traceId"] for span in told.spans}) == 1
        assert s.requests()[-1]["trace_id"] == told.spans[0]["traceId"]


@MODES
async def test_what_the_client_does_not_want_recorded_is_not(mode: str) -> None:
    async with collector() as told, service(mode, otlp_endpoint=f"http://127.0.0.1:{told.port}") as s:
        unwanted = f"00-{TRACE}-{PARENT}-00"
        await s.ask(question(False, False), {"traceparent": unwanted})
        assert set(seen(s).values()) == {unwanted}
        await s.ask(question(False, False))
        await until(lambda: len(told.spans) == 3, 5.0)
        assert TRACE not in {span["traceId"] for span in told.spans}


async def test_without_a_collector_a_trace_passes_as_it_is() -> None:
    async with service("standard") as s:
        given = f"00-{TRACE}-{PARENT}-01"
        await s.ask(question(False, False), {"traceparent": given})
        assert set(seen(s).values()) == {given}
        assert "trace_id" not in s.requests()[-1]


async def test_a_collector_that_refuses_or_is_away_harms_nobody() -> None:
    async with collector() as told, service("standard", otlp_endpoint=f"http://127.0.0.1:{told.port}") as s:
        told.status = 503
        assert (await s.ask(question(False, False))).status == 200
        await until(lambda: s.server.exporter is not None and s.server.exporter.dropped == 3, 5.0)
        assert [line["end"] for line in s.records() if line["event"] == "otlp_failed"] == ["status 503"]
    async with service("standard", otlp_endpoint="http://127.0.0.1:1") as s:
        assert (await s.ask(question(False, False))).status == 200
        await until(lambda: any(line["event"] == "otlp_failed" for line in s.records()), 5.0)


async def test_the_last_spans_are_sent_at_the_end() -> None:
    async with collector() as told:
        async with service("standard", otlp_endpoint=f"http://127.0.0.1:{told.port}") as s:
            assert (await s.ask(question(False, False))).status == 200
        assert len(told.spans) == 3
