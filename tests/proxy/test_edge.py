"""The client's side: who is let in, how long anybody waits, what is held, where it listens."""

from __future__ import annotations

import asyncio
import errno
import json
import resource
import socket
from pathlib import Path
from typing import Any

import pytest

from stormc_proxy.edge.admission import FREE_BYTES, Admission
from stormc_proxy.edge.sockets import bound, raise_descriptors
from stormc_proxy.http.deadline import LATE_SECONDS, Deadline
from stormc_proxy.http.resolver import NoAddress, Resolver
from stormc_proxy.transitions import MACHINES, Impossible
from tests.proxy.client import CHAT, COMPLETIONS, Client, ask, question, request
from tests.proxy.faults_table import drawing
from tests.proxy.manner import Manner
from tests.proxy.service import service, until
from tests.proxy.wire import MODELS

# -- keys --------------------------------------------------------------------------------------------------------------


async def test_with_keys_only_those_who_show_one_are_served(tmp_path: Path) -> None:
    keys = tmp_path / "keys"
    keys.write_text("sk-one\n\n  sk-two \n")
    async with service("layerwise", inbound_keys_file=str(keys), inbound_keys="sk-three") as s:
        for headers, status in (
            ({}, 401), ({"Authorization": "Bearer "}, 401), ({"Authorization": "Bearer sk-on"}, 401),
            ({"Authorization": "sk-one"}, 401), ({"x-api-key": "x"}, 401),
            ({"Authorization": "Bearer sk-one"}, 200),
            ({"authorization": "bearer sk-two"}, 200), ({"x-api-key": "sk-three"}, 200),
        ):  # fmt: skip
            assert (await s.ask(question(False, False), headers)).status == status, headers
        assert (await ask(s.port, "GET", "/v1/models")).status == 401
        assert (await ask(s.port, "GET", "/livez")).status == 200
        seen = [seen for engine in (*s.prefill, *s.decode) for seen in engine.seen]
        assert len(seen) == 6 and not any({"authorization", "x-api-key"} & set(each.headers) for each in seen)
        assert "sk-" not in s.log.getvalue()
        keys.write_text("sk-new\n")
        await until(lambda: any(r["event"] == "keys_reloaded" for r in s.records()), 4)
        assert (await s.ask(question(False, False), {"Authorization": "Bearer sk-one"})).status == 401
        assert (await s.ask(question(False, False), {"Authorization": "Bearer sk-new"})).status == 200


# -- paths -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/health", "/ping", "/readyz", "/livez"])
async def test_health(path: str) -> None:
    async with service("standard", prefill=1, decode=1) as s:
        assert (await ask(s.port, "GET", path)).status == 200
        s.server.engine_requests.draining = True
        assert (await ask(s.port, "GET", path)).status == (200 if path == "/livez" else 503)


async def test_what_any_instance_can_answer_goes_to_one() -> None:
    async with service("standard") as s:
        body = {"model": "qwen", "prompt": "a b c"}
        assert (await ask(s.port, "POST", "/tokenize", body)).json["count"] == 3
        assert (await ask(s.port, "GET", "/v1/models")).json == MODELS
        assert (await ask(s.port, "POST", "/v1/embeddings", body)).status == 404
        assert [len(e.others) for e in s.decode] == [2, 2], "a second opinion, then the engine's own answer"
        assert s.failures("decode") == [0, 0]
        await s.settled()


@pytest.mark.parametrize(("origin", "allowed", "told"), [
    ("https://a.example", "*", "*"), ("https://a.example", "https://a.example", "https://a.example"),
    ("https://b.example", "https://a.example", None), ("https://a.example", "", None), (None, "*", None),
])  # fmt: skip
async def test_web_pages(origin: str | None, allowed: str, told: str | None) -> None:
    async with service("layerwise", cors_origin=allowed) as s:
        headers = {"Origin": origin} if origin else {}
        for stream in (False, True):
            reply = await s.ask(question(True, stream), headers)
            assert reply.headers.get("access-control-allow-origin") == told
        asked = {**headers, "Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "x-a"}
        reply = await ask(s.port, "OPTIONS", CHAT, None, asked)
        assert (reply.status, reply.headers["access-control-allow-headers"]) == (200, "x-a")
        assert reply.headers.get("access-control-allow-origin") == told
        assert (await ask(s.port, "OPTIONS", "/v1/models/qwen", None, asked)).status == 200
        assert all("origin" not in e.headers for engine in s.decode for e in engine.seen)


async def test_every_path_takes_its_methods_and_names_them() -> None:
    async with service("standard") as s:
        routes = s.server._listeners[0].respond.__self__  # type: ignore[attr-defined]
        for path in sorted(routes._paths):
            taken = {method for method, known in routes._table if known == path}
            for method in {"GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "HEAD"} - taken - {"HEAD"}:
                reply = await ask(s.port, method, path)
                if method == "OPTIONS":
                    assert (reply.status, reply.body) == (200, b"")
                else:
                    assert (reply.status, reply.json["error"]["code"]) == (405, 405), (method, path)
                    assert set(reply.headers["allow"].split(", ")) == taken | {"OPTIONS"}
        unknown = await ask(s.port, "GET", "/v1/nothing")
        assert (unknown.status, unknown.json["error"]["code"]) == (404, 404)


@pytest.mark.parametrize(("path", "kind"), [("/v1/messages", "error"), ("/v1/responses", None)])
async def test_refusals_of_bodies_that_are_not_read_have_the_shape_of_their_api(path: str, kind: str | None) -> None:
    async with service("standard", max_body_bytes=1000) as s:
        reply = await ask(s.port, "POST", path, b"x" * 2000)
        assert (reply.status, reply.json.get("type")) == (413, kind)
        assert reply.json["error"]["type"] == ("request_too_large" if kind else "invalid_request_error")


# -- limits ------------------------------------------------------------------------------------------------------------


async def test_half_a_body_holds_no_place_and_is_ended() -> None:
    async with service("layerwise", max_requests=2, body_timeout_seconds=0.5) as s:
        slow = [await Client.connect(s.port) for _ in range(4)]
        for client in slow:
            client.send(b"POST /v1/completions HTTP/1.1\r\nHost: p\r\nContent-Length: 100\r\n\r\n{")
        await asyncio.sleep(0.05)
        assert (await s.ask(question(False, False))).status == 200
        replies = await asyncio.gather(*(client.reply() for client in slow))
        assert [reply.status for reply in replies] == [408] * 4
        assert s.server.admission.bytes == 0


async def test_bytes_in_flight_are_bounded() -> None:
    settings = {"max_inflight_bytes": 300_000, "manner": Manner(seconds=0.2)}
    async with service("layerwise", **settings) as s:  # type: ignore[arg-type]
        large = question(False, False, text="x" * 200_000)
        small = question(False, False)
        replies = await asyncio.gather(*(s.ask(body) for body in (large, large, small, small)))
        assert sorted(reply.status for reply in replies) == [200, 200, 200, 429]
        await s.settled()
        assert s.server.admission.bytes == 0
        assert (await s.ask(question(False, False, text="x" * 400_000))).status == 200, "one alone always fits"


def test_admission() -> None:
    admission = Admission(3, 1000)
    assert admission.take() and not admission.take(3) and admission.take(2)
    admission.give(3)
    assert admission.take(5), "what is more than all is let in alone"
    assert admission.take_bytes(5000) and not admission.take_bytes(1)
    admission.give_bytes(5000)
    assert admission.take_bytes(1000) and FREE_BYTES > 0


async def test_many_answers_are_made_one_after_the_other() -> None:
    async with service("layerwise", max_requests=10) as s:
        reply = await s.ask(question(False, False, text="x" * 3000, tokens=1, n=300))
        assert len(reply.json["choices"]) == 300
        most = max(len(engine.seen) for engine in s.decode)
        assert most >= 100 and s.server.admission.requests == 0


@pytest.mark.parametrize(("more", "choices", "status"), [
    ({"n": "2"}, 2, 200), ({"n": 2.0}, 2, 200), ({"n": True}, 1, 200),
    ({"prompt_embeds": ["QQ", "Qg"], "prompt": None}, 2, 200),
    ({"prompt_embeds": "QQ"}, 0, 400), ({"n": 2, "use_beam_search": True}, 0, 400), ({"n": 20000}, 0, 400),
])  # fmt: skip
async def test_what_vllm_takes_for_several_answers(more: dict[str, Any], choices: int, status: int) -> None:
    async with service("layerwise") as s:
        reply = await s.ask(question(False, False, **more))
        assert reply.status == status
        assert status != 200 or len(reply.json["choices"]) == choices
        await s.settled()


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-32"])
async def test_any_encoding_of_json(encoding: str) -> None:
    async with service("standard") as s:
        raw = json.dumps(question(False, False, text="Grüße"), ensure_ascii=False).encode(encoding)
        assert (await ask(s.port, "POST", COMPLETIONS, raw)).status == 200
        assert s.decode[0].seen[0].body["prompt"] == "Grüße"


async def test_pipelined_requests_of_all_kinds_are_answered_in_their_order() -> None:
    async with service("layerwise") as s:
        client = await Client.connect(s.port)
        kinds = [("GET", "/livez", None), ("POST", COMPLETIONS, question(False, True)), ("GET", "/x", None)] * 5
        client.send(b"".join(request(method, path, body) for method, path, body in kinds))
        assert [(await client.reply()).status for _ in kinds] == [200, 200, 404] * 5
        client.close()


# -- where it listens --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("everywhere", ["::", ""])
def test_everywhere_is_ipv4_and_ipv6(everywhere: str) -> None:
    (both,) = bound(everywhere, 0, shared=False)
    both.listen()
    port = both.getsockname()[1]
    for host in ("127.0.0.1", "::1"):
        socket.create_connection((host, port), 2).close()
    both.close()


@pytest.mark.parametrize("host", ["127.0.0.1", "[::1]", "::1", "localhost"])
def test_one_port_for_all_addresses_of_a_host(host: str) -> None:
    sockets = bound(host, 0, shared=False)
    assert len({each.getsockname()[1] for each in sockets}) == 1
    for each in sockets:
        each.close()


def test_descriptors_are_raised_to_the_hard_limit() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(soft, 512), hard))
    try:
        assert raise_descriptors() == hard == resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


async def test_no_more_requests_than_there_are_descriptors_for() -> None:
    async with service("standard", max_requests=4096) as s:
        s.server.check_descriptors(48)
        assert s.server.admission.max_requests == 8
        assert [line["max_requests"] for line in s.records() if line["event"] == "few_descriptors"] == [8]


@pytest.mark.parametrize("error", [errno.EMFILE, errno.ENFILE, errno.EADDRNOTAVAIL])
@pytest.mark.parametrize("mode", ["layerwise", "standard"])
async def test_what_the_proxy_itself_lacks_is_held_against_no_engine(
    mode: str, error: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with service(mode, probe_interval_seconds=0.05, fallback=False) as s:

        async def lacking(*arguments: object, **options: object) -> None:
            raise OSError(error, "switched on")

        with monkeypatch.context() as patch:
            patch.setattr("stormc_proxy.http.endpoint.connect_first", lacking)
            for _ in range(6):
                assert (await s.ask(question(False, False))).status == 503
            await asyncio.sleep(0.5)
        assert s.failures("prefill") == s.failures("decode") == [0, 0]
        assert not [line for line in s.records() if line["event"] == "isolated"]
        assert (await s.ask(question(False, False))).status == 200


# -- names and time ----------------------------------------------------------------------------------------------------


async def test_a_resolver_that_is_away_takes_no_address_away(monkeypatch: pytest.MonkeyPatch) -> None:
    loop, failed = asyncio.get_running_loop(), list[str]()
    answers: dict[str, list[str] | OSError] = {
        "a": ["10.0.0.1", "10.0.0.2"],
        "b": socket.gaierror(socket.EAI_AGAIN),
    }
    answers["c"] = socket.gaierror(socket.EAI_NONAME, "none")

    async def resolve(host: str, *rest: Any, **more: Any) -> Any:
        found = answers[host]
        if isinstance(found, OSError):
            raise found
        return [(0, 0, 0, "", (address, 0)) for address in found]

    monkeypatch.setattr(loop, "getaddrinfo", resolve)
    names = Resolver(loop, failed.append)
    assert await names.addresses("127.0.0.1") == ["127.0.0.1"]
    assert await names.addresses("a") == ["10.0.0.1", "10.0.0.2"]
    names.answered("a", "10.0.0.2")
    assert await names.addresses("a") == ["10.0.0.2", "10.0.0.1"], "the one that answered last is first"
    answers["a"] = socket.gaierror(socket.EAI_AGAIN)
    assert await names.addresses("a", anew=True) == ["10.0.0.2", "10.0.0.1"] and failed == ["a"]
    answers["a"] = ["10.0.0.3"]
    assert await names.addresses("a", anew=True) == ["10.0.0.3"]
    with pytest.raises(NoAddress):
        await names.addresses("b")
    with pytest.raises(OSError, match="no such name"):
        await names.addresses("c")


async def test_a_resolver_that_is_away_isolates_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    loop = asyncio.get_running_loop()
    original, away = loop.getaddrinfo, False

    async def resolve(host: Any, *rest: Any, **more: Any) -> Any:
        if away and not str(host)[:1].isdigit():
            raise socket.gaierror(socket.EAI_AGAIN, "away")
        return await original("127.0.0.1" if host == "engine.example" else host, *rest, **more)

    monkeypatch.setattr(loop, "getaddrinfo", resolve)
    async with service("standard", prefill=1, decode=1, probe_interval_seconds=0.05) as s:
        from stormc_proxy.settings import Address

        s.server.router.decode.replace((Address("engine.example", s.decode[0].port),))
        assert (await s.ask(question(False, False))).status == 200
        away = True
        probes = s.decode[0].probes
        await until(lambda: s.decode[0].probes > probes + 6, 10)
        assert (await s.ask(question(False, False))).status == 200
        assert all(instance.state == "healthy" for instance in s.server.router.decode)


async def test_a_timer_that_fires_late_gives_one_more_turn() -> None:
    loop, fired = asyncio.get_running_loop(), list[float]()
    Deadline(loop, 0.05, lambda: fired.append(loop.time()))
    import time

    time.sleep(0.05 + LATE_SECONDS + 0.1)  # the process stands still
    woken = loop.time()
    await asyncio.sleep(0)
    await asyncio.sleep(0.01)
    assert not fired, "it was this process that was late"
    await until(lambda: fired)
    assert fired[0] >= woken + 0.05


# -- states ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("machine", MACHINES, ids=lambda machine: machine.name)
def test_every_state_is_reached_and_nothing_else_is_possible(machine: Any) -> None:
    states = {machine.start} | set(machine.values())
    assert {state for state, _ in machine} <= states, "a state that nothing leads to"
    for state in states:
        with pytest.raises(Impossible):
            machine[state, "no such event"]
    text = drawing(machine)
    assert all(state.replace(" ", "_") in text for state in states)
