"""Paths for operators, settings and the config file."""

from __future__ import annotations

import asyncio
import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from stormc_proxy.settings import Address, Settings, SettingsError, checked, from_arguments
from tests.proxy.answers import answer_to
from tests.proxy.client import CHAT, COMPLETIONS, Client, Reply, ask, question, request
from tests.proxy.manner import Manner
from tests.proxy.service import service, until
from tests.proxy.wire import MODELS

MODES = ("layerwise", "standard")
BOTH = pytest.mark.parametrize("mode", MODES)


# -- other paths -------------------------------------------------------------------------------------------------------


async def test_healthcheck_counts_what_is_configured() -> None:
    async with service("layerwise", prefill=3, decode=2) as s:
        for engine in s.prefill:
            for _ in range(4):
                s.server.router.prefill.failed(s.instance(engine))
        reply = await ask(s.port, "GET", "/healthcheck")
        assert (reply.status, reply.json) == (
            200, {"status": "ok", "prefill_instances": 3, "decode_instances": 2, "request_num": 0},
        )  # fmt: skip


async def test_reset_prefix_cache_tells_everybody() -> None:
    async with service("layerwise", admin_token="sesame") as s:
        everybody, key = (*s.prefill, *s.decode), {"Authorization": "Bearer sesame"}
        assert (await ask(s.port, "POST", "/reset_prefix_cache")).status == 401
        assert not any(e.others for e in everybody)
        reply = await ask(s.port, "POST", "/reset_prefix_cache?reset_running=true&x=%20", None, key)
        assert (reply.status, reply.body) == (200, b"")
        assert [e.others[0].path for e in everybody] == ["/reset_prefix_cache?reset_running=true&x=%20"] * 4
        await s.decode[1].behave(Manner(fault="refuse"))
        s.prefill[0].manner = Manner(fault="500")
        reply = await ask(s.port, "POST", "/reset_prefix_cache", None, key)
        assert reply.status == 500
        assert reply.json == {"failed": [f"http://127.0.0.1:{e.port}" for e in (s.prefill[0], s.decode[1])]}
        await s.settled()


async def test_models_are_those_of_the_first_that_answers() -> None:
    async with service("standard") as s:
        assert (await ask(s.port, "GET", "/v1/models")).json == MODELS
        assert [len(e.others) for e in (*s.prefill, *s.decode)] == [0, 0, 1, 0]
        await s.decode[0].behave(Manner(fault="refuse"))
        s.decode[1].manner = Manner(fault="500")
        assert (await ask(s.port, "GET", "/v1/models")).json == MODELS
        assert [len(e.others) for e in s.prefill] == [1, 0]
        for engine in s.prefill:
            await engine.behave(Manner(fault="refuse"))
        reply = await ask(s.port, "GET", "/v1/models")
        assert reply.status == 503 and reply.json["error"]["code"] == 503


async def test_instances_are_closed_without_a_token() -> None:
    async with service("standard") as s:
        body = {"type": "decode", "instances": "127.0.0.1:1"}
        for headers in ({}, {"Authorization": "Bearer "}, {"Authorization": "Bearer None"}):
            assert (await ask(s.port, "POST", "/instances/remove", body, headers)).status == 403


async def test_instances_come_and_go() -> None:
    async with service("standard", prefill=1, decode=2, admin_token="sesame", waiting_retry_interval=0.05) as s:
        key = {"Authorization": "Bearer sesame"}
        one, two = (f"127.0.0.1:{e.port}" for e in s.decode)
        for wrong in ({}, {"Authorization": "Bearer other"}, {"Authorization": "sesame"}):
            assert (await ask(s.port, "POST", "/instances/add", {}, wrong)).status == 401
        bad: object
        for bad in (
            {},
            [],
            {"type": "x"},
            {"type": "decode"},
            {"type": "decode", "instances": [1]},
            {"type": "decode", "instances": "nowhere"},
            {"type": "decode", "instances": "h:99999"},
        ):
            assert (await ask(s.port, "POST", "/instances/add", bad, key)).status == 400, bad
        s.decode[0].manner = Manner(token_seconds=0.05)
        running = asyncio.ensure_future(s.ask(question(False, True)))
        await until(lambda: s.decode[0].seen)
        reply = await ask(s.port, "POST", "/instances/remove", {"type": "decode", "instances": one}, key)
        assert reply.status == 200 and one in reply.json["message"]
        assert reply.json["current_decode_instances"] == [two]
        assert reply.json["current_prefill_instances"] == [f"127.0.0.1:{s.prefill[0].port}"]
        for _ in range(3):
            assert (await s.ask(question(False, False))).status == 200
        assert len(s.decode[0].seen) == 1
        assert (await running).done, "what runs is not cut"
        s.server.router.decode.sweep()
        assert Address("127.0.0.1", s.decode[0].port) not in s.server.router.decode.instances
        s.decode[0].manner = Manner(health=503)
        reply = await ask(s.port, "POST", "/instances/add", {"type": "decode", "instances": [one]}, key)
        assert reply.json["current_decode_instances"] == [two], "not before it is healthy"
        s.decode[0].manner = Manner()
        await until(lambda: s.server.router.decode.usable == 2, 1.0)
        assert "sesame" not in s.log.getvalue()
        for _ in range(2):
            assert (await s.ask(question(False, False))).status == 200
        assert len(s.decode[0].seen) == 2


async def test_an_instance_that_never_gets_healthy_is_not_added() -> None:
    async with service("standard", decode=2, admin_token="t", waiting_retry_interval=0.02,
                       max_waiting_retries=2) as s:  # fmt: skip
        instance, key = f"127.0.0.1:{s.decode[0].port}", {"Authorization": "Bearer t"}
        await ask(s.port, "POST", "/instances/remove", {"type": "decode", "instances": instance}, key)
        s.decode[0].manner, probes = Manner(health=503), s.decode[0].probes
        await ask(s.port, "POST", "/instances/add", {"type": "decode", "instances": instance}, key)
        await until(lambda: any(r["event"] == "not_added" for r in s.records()))
        assert s.decode[0].probes - probes == 3


@pytest.mark.parametrize("path", ["/v1/other", "/v1/metaserver", "/v1/completions/", "/x"])
async def test_other_paths_are_404(path: str) -> None:
    async with service("standard", prefill=1, decode=1) as s:
        for method, where, status in (("POST", path, 404), ("GET", COMPLETIONS, 405)):
            reply = await ask(s.port, method, where, {"prompt": "x"} if method == "POST" else None)
            assert (reply.status, reply.json["error"]["code"]) == (status, status)
            assert 'end="' in (await ask(s.port, "GET", "/metrics")).body.decode()
        assert [r["status"] for r in s.records() if r["event"] == "refused"] == [404, 405]


async def test_the_log_has_one_line_per_request() -> None:
    async with service("layerwise") as s:
        await s.prefill[0].behave(Manner(fault="refuse"))
        reply = await s.ask(question(True, True), {"X-Request-Id": "mine"})
        assert reply.done
        await s.ask(question(False, False, tokens=5))
        lines = [r for r in s.records() if r["event"] == "request"]
        first, second = lines
        assert first["client_id"] == "mine" and first["id"] == s.decode[0].seen[0].key
        assert first["prefill"] == f"127.0.0.1:{s.prefill[1].port}"
        assert first["decode"] == f"127.0.0.1:{s.decode[0].port}"
        assert (first["status"], first["end"], first["stream"], first["attempts"]) == (200, "complete", True, 1)
        assert first["tokens"] >= 8 and second["tokens"] == 5 and first["path"] == CHAT
        assert 0 < first["first_byte_ms"] <= first["total_ms"] and first["prefill_ms"] > 0


async def test_metrics_and_status() -> None:
    async with service("layerwise") as s:
        await s.ask(question(False, False))
        for _ in range(4):
            s.server.router.prefill.failed(s.instance(s.prefill[1]))
        metrics = (await ask(s.port, "GET", "/metrics")).body.decode()
        assert f'stormc_proxy_requests_total{{path="{COMPLETIONS}",end="complete",status="200"}} 1' in metrics
        name = f'{{role="prefill",instance="127.0.0.1:{s.prefill[1].port}"}}'
        assert f"stormc_proxy_instance_up{name} 0" in metrics
        assert f"stormc_proxy_instance_score{name} +Inf" in metrics
        for line in metrics.splitlines():
            assert re.fullmatch(r"# (HELP|TYPE) .+|[a-z_]+(\{.*\})? (\+Inf|[0-9.e+-]+)", line), line
        status = (await ask(s.port, "GET", "/status")).json
        assert status["ready"] and status["requests"] == 1
        assert [i["state"] for i in status["prefill"]] == ["healthy", "faulty"]
        assert status["prefill"][1]["score"] is None


# -- settings ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("arguments", [
    ["--prefiller-port", "8001", "--decoder-port", "8002", "--prefiller-host", "p", "--decoder-host", "d"],
    ["--prefiller-ports", "8001", "--decoder-ports", "8002", "--prefiller-hosts", "p", "--decoder-hosts", "d"],
    ["--prefiller-p", "8001", "--decoder-p", "8002", "--prefiller-h", "p", "--decoder-h", "d"],
])  # fmt: skip
def test_abbreviated_flags(arguments: list[str]) -> None:
    settings, path = from_arguments(["--host", "10.0.0.1", "--port", "8080", *arguments])
    assert (settings.prefill, settings.decode) == ((Address("p", 8001),), (Address("d", 8002),))
    assert (settings.host, settings.port, path) == ("10.0.0.1", 8080, None)


def test_repeated_hosts_with_consecutive_ports() -> None:
    hosts = ["10.0.0.1"] * 4 + ["10.0.0.2"] * 4
    ports = [str(9000 + k) for k in range(4)] * 2
    decoders = ["--decoder-hosts", *hosts, "--decoder-ports", *ports]
    settings, _ = from_arguments([*decoders, "--prefiller-hosts", "[fd00::1]"])
    assert len(settings.decode) == 8 and settings.decode[5] == Address("10.0.0.2", 9001)
    assert settings.prefill == (Address("fd00::1", 8001),) and str(settings.prefill[0]) == "[fd00::1]:8001"


def test_defaults_are_those_of_the_reference_and_the_seed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    settings, _ = from_arguments([])
    assert (settings.port, settings.host, settings.max_retries, settings.retry_delay) == (8000, "localhost", 3, 0.001)
    assert (settings.prefill, settings.decode) == ((Address("localhost", 8001),), (Address("localhost", 8002),))
    assert (settings.max_failures, settings.probe_interval_seconds, settings.probe_timeout_seconds) == (3, 5.0, 2.0)
    assert not settings.api_key
    monkeypatch.setenv("OPENAI_API_KEY", "k")
    assert from_arguments([])[0].api_key == "k" and "'k'" not in repr(from_arguments([])[0])


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "0:0:0:0:0:0:0:0", ""])
def test_a_wildcard_cannot_be_called_back(host: str) -> None:
    with pytest.raises(SettingsError, match="call back"):
        from_arguments(["--host", host])
    with pytest.raises(SettingsError, match="call back"):
        from_arguments(["--host", "::", "--advertise-host", host])
    assert from_arguments(["--host", host, "--mode", "standard"])[0].host == host
    settings, _ = from_arguments(["--host", host, "--advertise-host", "[fd00::2]", "--port", "80"])
    assert settings.advertised == "fd00::2"


@pytest.mark.parametrize("host", [
    "192.0.0.3192.0.0.3", "", "1.2.3", "a..b", "http://a", "a b", "a:1", "-h?", "a" * 64, "ä",
])  # fmt: skip
@pytest.mark.parametrize("flag", ["--prefiller-hosts", "--decoder-hosts", "--advertise-host"])
def test_typing_errors_in_hosts(flag: str, host: str) -> None:
    if flag == "--advertise-host" and not host:
        return
    with pytest.raises(SettingsError):
        from_arguments([f"{flag}={host}"])


@pytest.mark.parametrize("host", [
    "a", "storm-prefill-0-1", "a.b.svc.cluster.local.", "10.0.0.1", "fd00::1", "1a.2", "x_y",
])  # fmt: skip
def test_sound_hosts(host: str) -> None:
    assert checked(Settings(prefill=(Address(host, 1),))).prefill[0].host == host


@pytest.mark.parametrize("arguments", [
    ["--prefiller-hosts", "a", "b"], ["--decoder-ports", "1", "2"], ["--decoder-ports", "70000"], ["--port", "-1"],
    ["--prefiller-hosts", "a", "a", "--prefiller-ports", "1", "1"], ["--probe-interval", "0"],
])  # fmt: skip
def test_settings_that_cannot_work(arguments: list[str]) -> None:
    with pytest.raises(SettingsError):
        from_arguments(arguments)


# -- the config file ---------------------------------------------------------------------------------------------------


def _mount(directory: Path, version: int, document: object) -> None:
    """Write a config file as a ConfigMap mount does: a link to a directory is swapped."""
    data = directory / f"..v{version}"
    data.mkdir()
    (data / "proxy.json").write_text(json.dumps(document), encoding="utf-8")
    link = directory / "..new"
    link.symlink_to(data.name)
    os.replace(link, directory / "..data")
    target = directory / "proxy.json"
    if not target.is_symlink():
        target.symlink_to("..data/proxy.json")


@BOTH
async def test_a_reload_under_load_loses_nothing(mode: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stormc_proxy.edge.server.TICK_SECONDS", 0.05)
    _mount(tmp_path, 0, {})
    async with service(mode, prefill=3, decode=3, config=tmp_path / "proxy.json") as s:
        for engine in s.decode:
            engine.manner = Manner(token_seconds=0.005)
        replies: list[Reply] = []
        stop = False

        async def load(number: int) -> None:
            client = await Client.connect(s.port)
            while not stop:
                client.send(request("POST", COMPLETIONS, question(False, number % 2 == 0, text=f"Q{number}")))
                replies.append(await client.reply())
                assert replies[-1].status == 200 and replies[-1].text() == answer_to(f"Q{number}", 8)
            client.close()

        tasks = [asyncio.ensure_future(load(number)) for number in range(8)]

        def document(*numbers: int) -> dict[str, Any]:
            return {
                role: [{"host": "127.0.0.1", "port": s.engines(role)[n].port} for n in numbers]
                for role in ("prefill", "decode")
            }

        def hosts(role: str) -> list[int]:
            return [i.address.port for i in s.server.router.pools[role]]

        for version, numbers in enumerate([(0, 1), (1, 2), (2,), (0, 1, 2), (0,)], 1):
            _mount(tmp_path, version, {**document(*numbers), "maxFailures": version})
            for role in ("prefill", "decode"):
                await until(lambda role=role, numbers=numbers: sorted(hosts(role)) == sorted(
                    s.engines(role)[n].port for n in numbers), 2.0)  # fmt: skip
        assert s.server.router.prefill.policy.max_failures == 5
        counts = [len(engine.seen) for engine in s.decode]
        await asyncio.sleep(0.1)
        assert [len(engine.seen) for engine in s.decode][1:] == counts[1:], "what left gets no more"
        _mount(tmp_path, 9, {"decode": "x"})
        await until(lambda: any(r["event"] == "reload_failed" for r in s.records()))
        stop = True
        await asyncio.gather(*tasks)
        assert len(replies) > 50
        await s.settled()
        assert sum(1 for r in s.records() if r["event"] == "reloaded") == 5
        assert all(r["status"] == 200 for r in s.records() if r["event"] == "request")


async def test_a_reload_forgets_what_the_file_said_before_and_keeps_what_holds_until_the_next_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stormc_proxy.edge.server.TICK_SECONDS", 0.01)
    config = tmp_path / "proxy.json"
    config.write_text("{}", encoding="utf-8")
    async with service("layerwise", config=config, max_failures=2) as s:

        async def reloaded(text: str, event: str = "reloaded") -> dict[str, Any]:
            before = len(s.records())
            config.write_text(text, encoding="utf-8")
            await until(lambda: any(r["event"] == event for r in s.records()[before:]))
            return next(r for r in s.records()[before:] if r["event"] == event)

        record = await reloaded('{"panic": true, "maxFailures": 1, "mode": "standard", "maxBodyBytes": 9}')
        assert record["waits_for_start"] == ["mode", "max_body_bytes"]
        policy = s.server.router.prefill.policy
        assert (policy.panic, policy.max_failures) == (True, 1)
        assert (await s.ask(question(False, True))).done, "layerwise until the next start, and no limit of 9 bytes"
        await reloaded("[" * 100_000, "reload_failed")
        await reloaded("{}")
        policy = s.server.router.prefill.policy
        assert (policy.panic, policy.max_failures) == (False, 2)
        await s.settled()


def config_errors() -> Iterator[object]:
    """Documents that cannot be used."""
    yield from ([], "x", {"unknown": 1}, {"prefill": 1}, {"prefill": ["a:1"]}, {"prefill": [{"host": "a"}]})
    yield from ({"prefill": [{"host": "a", "port": "1"}]}, {"maxFailures": "3"}, {"maxFailures": -1}, {"panic": 1})
    yield from ({"mode": "x"}, {"chatResume": "x"}, {"metaserverAck": "x"}, {"probeIntervalSeconds": 0}, {"port": 1.5})


@pytest.mark.parametrize("document", list(config_errors()), ids=json.dumps)
def test_config_files_that_cannot_be_used(tmp_path: Path, document: object) -> None:
    path = tmp_path / "proxy.json"
    path.write_text(json.dumps(document), encoding="utf-8")
    with pytest.raises(SettingsError):
        from_arguments(["--config", str(path)])
    with pytest.raises(SettingsError):
        from_arguments(["--config", str(tmp_path / "missing.json")])


def test_the_config_file_wins_over_flags(tmp_path: Path) -> None:
    path = tmp_path / "proxy.json"
    document = {"mode": "standard", "decode": [{"host": "d", "port": 5}], "maxFailures": 7, "slowStartSeconds": 3}
    path.write_text(json.dumps(document), encoding="utf-8")
    settings, found = from_arguments(["--config", str(path), "--max-failures", "1", "--prefiller-hosts", "p"])
    assert (settings.mode, settings.decode, settings.max_failures) == ("standard", (Address("d", 5),), 7)
    assert settings.prefill == (Address("p", 8001),) and settings.slow_start_seconds == 3 and found == path
