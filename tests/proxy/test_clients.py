"""Real clients of a real process: the official openai library, and the command lines of the deploy scripts."""

from __future__ import annotations

import asyncio
import json
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import openai
import pytest

from tests.proxy.answers import answer_to
from tests.proxy.client import COMPLETIONS, Client, Reply, ask, question, request
from tests.proxy.manner import Manner
from tests.proxy.process import started
from tests.proxy.service import Service, service, until

ROOT = Path(__file__).parents[2]
MODES = ("layerwise", "standard")
MESSAGES = [{"role": "system", "content": "Be brief"}, {"role": "user", "content": "Say it"}]


def client(s: Service, **more: Any) -> openai.AsyncOpenAI:
    """The official client; it must find no proxy settings of this machine."""
    settings: dict[str, Any] = {"max_retries": 0, **more}
    return openai.AsyncOpenAI(base_url=f"http://127.0.0.1:{s.port}/v1", api_key="mine", **settings)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("manner", [Manner(), Manner(recomputes=1)], ids=["plain", "recomputed"])
async def test_openai_chats_and_completes(mode: str, manner: Manner) -> None:
    async with service(mode, manner=manner) as s, client(s) as ai:
        messages: Any = MESSAGES
        chat = await ai.chat.completions.create(model="qwen", messages=messages, max_tokens=5)
        assert chat.choices[0].message.content == answer_to(MESSAGES, 5)
        assert chat.choices[0].finish_reason == "length"
        assert chat.usage is not None and chat.usage.completion_tokens == 5
        completion = await ai.completions.create(model="qwen", prompt="Say it", max_tokens=5)
        assert completion.choices[0].text == answer_to("Say it", 5)
        chunks = [c async for c in await ai.chat.completions.create(
            model="qwen", messages=messages, max_tokens=5, stream=True, stream_options={"include_usage": True},
        )]  # fmt: skip
        assert "".join(c.choices[0].delta.content or "" for c in chunks if c.choices) == answer_to(MESSAGES, 5)
        assert chunks[-1].usage is not None and chunks[-1].usage.completion_tokens == 5
        assert len({c.id for c in chunks}) == 1
        parts = [c async for c in await ai.completions.create(
            model="qwen", prompt="Say it", max_tokens=5, stream=True
        )]  # fmt: skip
        assert "".join(c.choices[0].text for c in parts if c.choices) == answer_to("Say it", 5)
        batch = await ai.completions.create(model="qwen", prompt=["One", "Two"], n=2, max_tokens=3)
        assert [c.text for c in batch.choices] == [answer_to(p, 3) for p in ("One", "One", "Two", "Two")]
        assert [c.index for c in batch.choices] == [0, 1, 2, 3]
        assert [m.id async for m in ai.models.list()] == ["qwen"]
        await s.settled()


@pytest.mark.parametrize("mode", MODES)
async def test_openai_raises_what_the_engines_say(mode: str) -> None:
    async with service(mode) as s, client(s) as ai:
        ask_it: Any = {"model": "qwen", "prompt": "Say it", "max_tokens": 5}
        kinds: tuple[tuple[str, type[openai.APIStatusError]], ...] = (
            ("400", openai.BadRequestError), ("401", openai.AuthenticationError), ("404", openai.NotFoundError),
            ("422", openai.UnprocessableEntityError), ("429", openai.RateLimitError),
            ("500", openai.InternalServerError),
        )  # fmt: skip
        for role in ("prefill", "decode"):
            for status, kind in kinds:
                for engine in s.engines(role):
                    engine.manner = Manner(fault=status)
                for stream in (False, True):
                    with pytest.raises(kind, match=f"engine says {status} «ü»") as raised:
                        await ai.completions.create(**ask_it, stream=stream)
                    assert raised.value.request_id
            for engine in s.engines(role):
                engine.manner = Manner()
                s.server.router.pools[role].succeeded(s.instance(engine))
        with pytest.raises(openai.BadRequestError, match="prompt is missing"):
            empty: Any = None
            await ai.completions.create(model="qwen", prompt=empty)
        await s.settled()


@pytest.mark.parametrize("mode", MODES)
async def test_openai_notices_a_stream_that_breaks(mode: str) -> None:
    async with service(mode) as s, client(s) as ai:
        for engine in s.decode:
            engine.manner = Manner(fault="cut_reset")
        messages: Any = MESSAGES
        heard = ""
        stream = await ai.chat.completions.create(model="qwen", messages=messages, max_tokens=8, stream=True)
        with pytest.raises(openai.APIError, match="decode instance"):
            async for chunk in stream:
                heard += chunk.choices[0].delta.content or ""
        assert heard and answer_to(MESSAGES, 8).startswith(heard)
        await s.settled()


async def test_openai_waits_as_told_when_nobody_is_there() -> None:
    async with service("layerwise") as s, client(s) as ai:
        for engine in s.decode:
            for _ in range(4):
                s.server.router.decode.failed(s.instance(engine))
        with pytest.raises(openai.InternalServerError) as raised:
            await ai.completions.create(model="qwen", prompt="Say it")
        assert raised.value.status_code == 503 and raised.value.response.headers["retry-after"] == "5"


async def test_openai_that_stops_listening_stops_the_engines() -> None:
    async with service("standard", manner=Manner(token_seconds=0.05)) as s, client(s) as ai:
        stream = await ai.completions.create(model="qwen", prompt="Say it", max_tokens=1000, stream=True)
        async for _ in stream:
            break
        await stream.close()
        await s.settled(1.0)
        assert s.decode[0].seen[0].left


# -- the process -------------------------------------------------------------------------------------------------------


LINES: tuple[tuple[str, str, list[str], tuple[int, int]], ...] = (
    ("start_proxy.sh of MindCluster", "layerwise",
     ["--host", "127.0.0.1", "--port", "{port}", "--prefiller-hosts", "localhost", "--prefiller-port", "{prefill}",
      "--decoder-hosts", "localhost", "--decoder-port", "{decode}"], (1, 1)),
    ("run_router.py of infer-operator", "layerwise",
     ["--port", "{port}", "--host", "127.0.0.1", "--prefiller-hosts", "127.0.0.1", "127.0.0.1", "--prefiller-ports",
      "{prefill}", "--decoder-hosts", "127.0.0.1", "127.0.0.1", "--decoder-ports", "{decode}"], (2, 2)),
    ("load_balance_proxy_server_example.py", "standard",
     ["--mode", "standard", "--host", "0.0.0.0", "--port", "{port}", "--prefiller-hosts", "127.0.0.1",
      "--prefiller-ports", "{prefill}", "--decoder-hosts", *["127.0.0.1"] * 4, "--decoder-ports", "{decode}",
      "--max-retries", "3", "--retry-delay", "0.001", "--max-waiting-retries", "3", "--waiting-retry-interval", "10",
      "--log-level", "INFO"], (1, 4)),
    ("callbacks on a port of their own", "layerwise",
     ["--host", "127.0.0.1", "--port", "{port}", "--prefiller-hosts", "127.0.0.1", "--prefiller-ports", "{prefill}",
      "--decoder-hosts", "127.0.0.1", "--decoder-ports", "{decode}", "--metaserver-port", "{callbacks}"], (1, 1)),
    ("with workers", "layerwise",
     ["--host", "127.0.0.1", "--port", "{port}", "--prefiller-hosts", "127.0.0.1", "--prefiller-ports", "{prefill}",
      "--decoder-hosts", "127.0.0.1", "--decoder-ports", "{decode}", "--workers", "2"], (1, 1)),
)  # fmt: skip


@pytest.mark.parametrize(("mode", "arguments", "counts"), [row[1:] for row in LINES], ids=[row[0] for row in LINES])
async def test_drop_in(mode: str, arguments: list[str], counts: tuple[int, int]) -> None:
    async with started(mode, arguments, counts) as p:
        health = await ask(p.port, "GET", "/healthcheck")
        assert (health.json["prefill_instances"], health.json["decode_instances"]) == counts
        replies = await asyncio.gather(*(
            ask(p.port, "POST", COMPLETIONS, question(False, k % 2 == 0, text=f"Q{k}")) for k in range(12)
        ))  # fmt: skip
        assert [r.text() for r in replies] == [answer_to(f"Q{k}", 8) for k in range(12)]
        seen = [s for engines in p.engines.values() for e in engines for s in e.seen]
        assert {s.headers["authorization"] for s in seen} == {"Bearer sk-engines"}
        assert all(e.seen for e in p.engines["decode"]), "every instance gets its part"
        if "--metaserver-port" in arguments:
            url = p.engines["decode"][0].seen[0].body["kv_transfer_params"]["metaserver"]
            callbacks = int(url.split(":")[2].partition("/")[0])
            assert callbacks != p.port
            assert (await ask(p.port, "POST", "/v1/metaserver", {"request_id": "x"})).status == 404
            assert (await ask(callbacks, "POST", COMPLETIONS, question(False, False))).status == 404
        p.process.send_signal(signal.SIGTERM)
        assert await p.ended(5.0) == 0
        lines = p.lines()
        assert sum(line["event"] == "request" for line in lines) == 12
        assert "sk-engines" not in json.dumps(lines)
        assert p.process.stderr is not None and p.process.stderr.read() == ""


LINE = LINES[0][2]


async def test_sigterm_drains() -> None:
    """Running requests are answered, among them one whose callback comes after the signal; new ones are refused."""
    async with started("layerwise", LINE) as p:
        decode, prefill = p.engines["decode"][0], p.engines["prefill"][0]
        decode.manner, prefill.manner = Manner(token_seconds=0.1), Manner(seconds=0.5)
        kept = await Client.connect(p.port)
        kept.send(request("GET", "/livez"))
        assert (await kept.reply()).status == 200
        running = [
            asyncio.ensure_future(ask(p.port, "POST", COMPLETIONS, question(False, stream, text=f"Q{stream}")))
            for stream in (True, False)
        ]
        await until(lambda: len(decode.seen) == 2, 3)
        p.process.send_signal(signal.SIGTERM)
        await asyncio.sleep(0.1)
        kept.send(request("POST", COMPLETIONS, question(False, False)))
        refused = await kept.reply()
        assert refused.status == 503 and refused.headers["retry-after"] == "1"
        kept.close()
        ready = await ask(p.port, "GET", "/readyz")
        assert ready.status == 503 and b"draining" in ready.body
        for stream, task in zip((True, False), running, strict=True):
            reply = await task
            assert reply.text() == answer_to(f"Q{stream}", 8) and reply.complete
        assert await p.ended(5.0) == 0
        events = [line["event"] for line in p.lines()]
        assert events.index("draining") < events.index("request") and events[-1] == "stopped"


async def test_a_drain_has_an_end() -> None:
    async with started("layerwise", [*LINE, "--drain-seconds", "0.3"]) as p:
        p.engines["decode"][0].manner = Manner(token_seconds=0.05)
        stuck = await Client.connect(p.port)
        stuck.send(request("POST", COMPLETIONS, question(False, True, tokens=2000)))
        reply = Reply()
        await stuck.head(reply)
        p.process.send_signal(signal.SIGTERM)
        assert await p.ended(5.0) == 1
        rest = await stuck.reader.read()
        assert b"[DONE]" not in rest, "not a whole answer, and none that looks like one"
        assert not rest.endswith(b"0\r\n\r\n") or b"error" in rest
        await until(lambda: not p.engines["decode"][0].running)


@pytest.mark.parametrize(("arguments", "says"), [
    (["--prefiller-hosts", "a", "b"], "2 --prefiller-hosts but 1 --prefiller-ports"),
    (["--host", "0.0.0.0"], "--advertise-host"),
    (["--prefiller-hosts", "192.0.0.3192.0.0.3"], "a blank missing?"),
    (["--config", "/nowhere/proxy.json"], "/nowhere/proxy.json"),
])  # fmt: skip
def test_settings_that_cannot_work_end_it_with_one_line(arguments: list[str], says: str) -> None:
    done = subprocess.run([sys.executable, "-m", "stormc_proxy", *arguments], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 2 and not done.stdout
    assert done.stderr.startswith("proxy: ") and says in done.stderr and done.stderr.count("\n") == 1


def test_a_port_that_is_taken_ends_it_with_one_line() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        command = [sys.executable, "-m", "stormc_proxy", "--mode", "standard", "--host", "127.0.0.1", "--port", port,
                   "--probe-timeout", "0.1"]  # fmt: skip
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=20)
    assert done.returncode == 2 and f"cannot listen on 127.0.0.1:{port}" in done.stderr
    assert "Traceback" not in done.stderr


def test_help_names_every_flag() -> None:
    from stormc_proxy.settings import parser

    shown = subprocess.run(
        [sys.executable, "-m", "stormc_proxy", "--help"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    actions = [action for action in parser()._actions if action.option_strings]
    assert len(actions) > 30
    for action in actions:
        assert action.option_strings[-1] in shown and action.help
