"""Rendered manifests as a running service: the real launcher and proxy, pods, Services and names as in a cluster."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import aiohttp
import pytest
import yaml

from stormc.__main__ import main
from stormc.commands import run_local
from stormc.local.cluster import LocalCluster, RunningPod
from stormc.payload.objects import LAUNCHER_CONFIG, proxy_config_map, shared_objects
from stormc.payload.read import read_payload
from stormc.tree.rendered_app import read_manifests
from tests import samples
from tests.samples import compiled, spec_text

ROOT = Path(__file__).parents[2]
EXAMPLES = sorted(path.parent for path in (ROOT / "rendered").rglob("stormservice-*.yaml"))
SMALL = "prefill: {replicas: 1}\ndecode: {podGroupSize: 1, dataParallel: 2, tensorParallel: 8}\n"
GROUPS = "prefill: {replicas: 1}\ndecode: {podGroupSize: 2, dataParallel: 4, tensorParallel: 8}\n"
SECONDS = 90


class Service:
    """A running app and a client of its routing Service."""

    def __init__(self, cluster: LocalCluster, session: aiohttp.ClientSession) -> None:
        self.cluster, self.session = cluster, session

    async def until(self, true: Callable[[], bool]) -> None:
        while not true():
            await asyncio.sleep(0.05)

    async def ready(self) -> None:
        try:
            await self.until(lambda: self.cluster.all_ready)
        except asyncio.CancelledError:
            logs = {path.stem: path.read_text()[-300:] for path in (self.cluster.state / "logs").iterdir()}
            raise AssertionError(f"{self.cluster.rows()} {logs}") from None

    async def complete(self, prompt: str = "Hello", **more: Any) -> str:
        """The name of the decode pod that wrote the completion."""
        chat = "messages" in more
        path = "/v1/chat/completions" if chat else "/v1/completions"
        body = {"model": "qwen3-moe", **({} if chat else {"prompt": prompt}), **more}
        async with self.session.post(self.cluster.url(self.cluster.client_service) + path, json=body) as answer:
            text = await answer.text()
            assert answer.status == 200, text
        if more.get("stream"):
            events = [json.loads(line) for line in re.findall(r"data: (\{.*)", text)]
            assert text.rstrip().endswith("data: [DONE]")
            text = "".join(_text(choice) for event in events for choice in event["choices"])
        else:
            text = _text(json.loads(text)["choices"][0])
        (writer,) = re.findall(r"This is (decode-\S+) rank", text)
        return str(writer)


def _text(choice: Mapping[str, Any]) -> str:
    if "text" in choice:
        return str(choice["text"])
    return str((choice.get("message") or choice["delta"]).get("content", ""))


@asynccontextmanager
async def serving(manifests: list[Any], state: Path, reschedule: float = 1.0) -> AsyncIterator[Service]:
    cluster = LocalCluster(state, reschedule)
    try:
        assert await cluster.apply(manifests) == []
        connector = aiohttp.TCPConnector(limit=0, force_close=True)
        async with asyncio.timeout(SECONDS), aiohttp.ClientSession(connector=connector) as session:
            service = Service(cluster, session)
            await service.ready()
            yield service
    finally:
        await cluster.close()


def made(overlay: str) -> list[Any]:
    manifests, payload = compiled(overlay).manifests, samples.read_payload()
    names = (LAUNCHER_CONFIG, proxy_config_map(payload))
    return [*manifests, *shared_objects(payload, "inference", names)]


@pytest.mark.parametrize("directory", EXAMPLES, ids=lambda path: path.name)
async def test_every_example_answers(directory: Path, tmp_path: Path) -> None:
    manifests = read_manifests(directory)
    (storm,) = [m for m in manifests if m["kind"] == "StormService"]
    (served,) = set(re.findall(r"--served-model-name=([^\"]+)\"", json.dumps(storm)))
    async with serving(manifests, tmp_path) as service:
        assert (await service.complete(model=served)).startswith("decode-0")
        messages = [{"role": "user", "content": "Hello"}]
        assert (await service.complete(model=served, messages=messages, stream=True)).startswith("decode-0")


LAYOUTS = {
    "standard connector": f"{GROUPS}kvTransfer: {{connector: MooncakeConnectorV1}}",
    "callbacks on a port of their own": f"{SMALL}networkPolicy: true",
    "internal data parallelism, headless pods": GROUPS.replace("Size: 2,", "Size: 2, distributedDp: false,"),
    "no data parallelism": "prefill: {replicas: 1, dataParallel: 1, tensorParallel: 16}\n"
                           "decode: {podGroupSize: 1, dataParallel: 1, tensorParallel: 16}",
    "two routing pods": f"{SMALL}routing: {{replicas: 2}}",
}  # fmt: skip


@pytest.mark.parametrize("layout", LAYOUTS)
async def test_every_layout_answers(layout: str, tmp_path: Path) -> None:
    async with serving(made(LAYOUTS[layout]), tmp_path) as service:
        writers = {await service.complete(n=1, stream=stream) for stream in (False, True)}
        assert {writer.split("-")[1] for writer in writers} == {"0"}


async def test_behind_internal_data_parallelism_only_the_first_pod_is_asked_and_counts(tmp_path: Path) -> None:
    overlay = LAYOUTS["internal data parallelism, headless pods"]
    async with serving(made(overlay), tmp_path) as service:
        log = (tmp_path / "logs/decode-0-1.log").read_text()
        assert "--headless" in log and "serving" not in log
        head = service.cluster.pods["decode-0-0"]
        assert head.process is not None
        (engine,) = _children(head.process.pid)
        os.kill(engine, signal.SIGSTOP)  # its model hangs: the probe gets no answer
        await service.until(lambda: not head.ready)
        assert service.cluster.pods["decode-0-1"].ready


@pytest.mark.parametrize(("failures", "stays"), [(2, True), (3, False)])
async def test_a_pod_is_ready_until_its_probe_has_failed_as_often_as_it_says(
    failures: int, stays: bool, tmp_path: Path
) -> None:
    async with serving(made(SMALL), tmp_path) as service:
        cluster = service.cluster
        router, passes, left, seen = cluster.pods["routing-0"], cluster._passes, failures, [True]

        async def failing(running: RunningPod, check: Mapping[str, Any]) -> bool:
            nonlocal left
            if running is not router or left < 0:
                return await passes(running, check)
            seen.append(router.ready)
            left -= 1
            return left < 0

        with mock.patch.object(cluster, "_passes", failing):
            await service.until(lambda: left < 0 and router.ready)
        assert all(seen) is stays


def _children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def _lives(pid: int) -> bool:
    try:
        return "State:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False


class Traffic:
    """Requests one after the other by several clients, until told to stop; every answer is checked."""

    def __init__(self, service: Service, clients: int = 12) -> None:
        self.writers: list[str] = []
        self.stopping = False
        self.tasks = [asyncio.create_task(self._ask(service, number)) for number in range(clients)]

    async def _ask(self, service: Service, number: int) -> None:
        turn = 0
        while not self.stopping:
            turn += 1
            self.writers.append(await service.complete(f"client {number}, turn {turn}", stream=False))
            await asyncio.sleep(0.01)

    async def until(self, service: Service, true: Callable[[], bool]) -> None:
        """Waits; fails with the first request that was lost."""
        waiting = asyncio.create_task(service.until(true))
        await asyncio.wait([waiting, *self.tasks], return_when=asyncio.FIRST_COMPLETED)
        if not waiting.done():
            waiting.cancel()
            await asyncio.gather(*self.tasks)

    async def answered(self, service: Service, more: int, by: str = "") -> None:
        """Waits for more answers, those of some pods."""
        start = self.count(by)
        await self.until(service, lambda: self.count(by) >= start + more)

    def count(self, by: str) -> int:
        return sum(writer.startswith(by) for writer in self.writers)

    async def __aenter__(self) -> Traffic:
        return self

    async def __aexit__(self, *_: object) -> None:
        self.stopping = True
        await asyncio.gather(*self.tasks)


async def test_no_request_of_a_thousand_is_lost_while_a_decode_pod_is_killed_and_replaced(tmp_path: Path) -> None:
    overlay = f"{SMALL}proxy: {{probeIntervalSeconds: 1}}".replace("podGroupSize: 1,", "podGroupSize: 1, replicas: 2,")
    async with serving(made(overlay), tmp_path) as service, Traffic(service) as traffic:
        await traffic.answered(service, 100)
        killed = service.cluster.pods["decode-0"]
        engines = _children(killed.process.pid) if killed.process else []
        assert len(engines) == 2
        await service.cluster.kill("decode-0")
        await traffic.until(service, lambda: service.cluster.pods.get("decode-0") not in (None, killed))
        assert not any(_lives(engine) for engine in engines)
        replaced = service.cluster.pods["decode-0"]
        assert replaced.pod == killed.pod and replaced.address != killed.address
        await traffic.until(service, lambda: service.cluster.all_ready)
        await traffic.answered(service, 50, "decode-0")
        await traffic.answered(service, max(0, 1000 - len(traffic.writers)))
        assert set(traffic.writers) == {"decode-0", "decode-1"}


async def test_scaling_in_git_loses_no_request(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    spec, directory = tmp_path / "specs/app.yaml", tmp_path / "rendered/qwen3-moe"
    spec.parent.mkdir()

    def render(replicas: int) -> list[Any]:
        spec.write_text(spec_text(GROUPS.replace("podGroupSize: 2,", f"podGroupSize: 2, replicas: {replicas},")))
        assert main(["render"]) == 0
        return read_manifests(directory)

    def writers(traffic: Traffic) -> Counter[str]:
        return Counter(writer.rpartition("-")[0] for writer in traffic.writers)

    async with serving(render(1), tmp_path / "state") as service, Traffic(service) as traffic:
        before = dict(service.cluster.pods)
        await traffic.answered(service, 100)
        assert set(writers(traffic)) == {"decode-0"}
        assert await service.cluster.apply(render(3)) == []
        await traffic.until(service, lambda: min(writers(traffic)[f"decode-{n}"] for n in range(3)) >= 50)
        assert len(service.cluster.pods) == 8
        assert all(service.cluster.pods[short] is running for short, running in before.items())


async def test_another_proxy_replaces_the_routing_pods_and_no_other(tmp_path: Path) -> None:
    payload = read_payload()
    other = payload._replace(proxy=payload.proxy._replace(version="another"))
    async with serving(made(SMALL), tmp_path) as service:
        before = dict(service.cluster.pods)
        with mock.patch("tests.samples.read_payload", return_value=other):
            assert await service.cluster.apply(made(SMALL)) == []
        await service.ready()
        changed = {short for short, running in service.cluster.pods.items() if before[short] is not running}
        assert changed == {"routing-0"}
        await service.complete()


SCRIPT = """\
echo "$ROLE_NAME $PREFILL_NUM+$DECODE_NUM $PREFILL_DP_SIZE*$PREFILL_TP_SIZE $DECODE_DP_SIZE*$DECODE_TP_SIZE"
if [ "$ROLE_NAME" = prefill ]; then role=kv_producer dp=$PREFILL_DP_SIZE; else role=kv_consumer dp=$DECODE_DP_SIZE; fi
[ "$DISTRIBUTED_DP" = true ] || dp=1
for rank in $(seq 0 $((dp - 1))); do
  vllm serve "$MODEL_PATH" --served-model-name="$MODEL_NAME" --host="$POD_IP" --port=$((8080 + rank)) \\
    --kv-transfer-config='{"kv_connector":"MooncakeLayerwiseConnector","kv_role":"'$role'"}' &
done
wait
"""


async def test_a_start_script_on_the_node_finds_what_it_expects(tmp_path: Path) -> None:
    scripts = tmp_path / "scripts"
    scripts.mkdir()
    (scripts / "start_server.sh").write_text(SCRIPT)
    engine = f"engine: {{script: {{hostPath: {scripts}, command: bash start_server.sh}}}}"
    async with serving(made(f"{SMALL}{engine}"), tmp_path / "state") as service:
        assert await service.complete() == "decode-0"
        assert (tmp_path / "state/logs/decode-0.log").read_text().startswith("decode 1+1 2*8 2*8\n")


def _selecting(directory: Path, name: str, selector: Mapping[str, str]) -> None:
    path = directory / f"service-{name}.yaml"
    manifest = yaml.safe_load(path.read_text())
    manifest["spec"]["selector"] = selector
    path.write_text(yaml.safe_dump(manifest))


@pytest.mark.parametrize(("selector", "count"), [
    ({"storm-service-name": "qwen3-moe", "role-name": "decoder"}, 0),
    ({"role-name": "decode", "stormservice.orchestration.aibrix.ai/role-replica-index": "0"}, 2),
])  # fmt: skip
def test_a_service_that_leads_to_no_pod_or_several_fails_the_run(
    selector: dict[str, str], count: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    (tmp_path / "specs").mkdir()
    (tmp_path / "specs/app.yaml").write_text(spec_text(GROUPS))
    assert main(["render"]) == 0
    _selecting(tmp_path / "rendered/qwen3-moe", "qwen3-moe-decode-0-1", selector)
    assert main(["run-local", "rendered/qwen3-moe", "--ask", "Hello"]) == 2
    printed = capsys.readouterr()
    assert printed.err == f"stormc: Service qwen3-moe-decode-0-1 selects {count} pods\n"
    assert "curl" not in printed.out


def test_a_failed_pod_stays_away_until_an_idle_proxy_has_isolated_it() -> None:
    parser = argparse.ArgumentParser()
    run_local.arguments(parser)
    (config,) = [m["data"]["config.json"] for m in made("") if "config.json" in m.get("data", {})]
    proxy = json.loads(config)
    assert parser.parse_args(["DIR"]).reschedule > proxy["maxFailures"] * proxy["probeIntervalSeconds"]


def _rendered(root: Path) -> tuple[list[str], dict[str, Any]]:
    """A repository with one rendered app; the command, and where to run it."""
    (root / "specs").mkdir()
    (root / "specs/app.yaml").write_text(spec_text(SMALL))
    stormc = [sys.executable, "-m", "stormc"]
    place: dict[str, Any] = {"cwd": root, "env": {**os.environ, "PYTHONPATH": str(ROOT)}}
    subprocess.run([*stormc, "render"], check=True, capture_output=True, **place)
    return stormc, place


def test_the_session_shows_obeys_and_cleans_up(tmp_path: Path) -> None:
    stormc, place = _rendered(tmp_path)
    with subprocess.Popen(
        [*stormc, "run-local", "rendered/qwen3-moe", "--state", "state", "--reschedule", "1"], text=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True, **place,
    ) as session:  # fmt: skip
        assert session.stdin and session.stdout
        told, lines = list[str](), session.stdout

        def read_until(pattern: str) -> str:
            for line in lines:
                told.append(line)
                if re.search(pattern, line):
                    return str(line)
            raise AssertionError(f"no {pattern}: {told}")

        command = read_until("talk to it").partition(":")[2].strip()
        healthy = r"decode-0 .* 2 of 2 healthy"
        if not any(re.search(healthy, line) for line in told):
            read_until(healthy)
        answer = subprocess.run(["bash", "-c", f"{command} -s"], capture_output=True, text=True).stdout
        assert "This is decode-0 rank" in answer
        session.stdin.write("kill decode-0\nkill nobody\n")
        session.stdin.flush()
        first = next(line for line in told if line.startswith("decode-0 ")).split()[2]
        assert first not in read_until(r"^decode-0 .* Ready +2")
        assert any(re.match(r"decode-0 .* Failed \(137\)", line) for line in told)
        assert any(line.startswith("no pod nobody; there are: prefill-0, ") for line in told)
        session.send_signal(signal.SIGINT)
        rest, _ = session.communicate(timeout=300)
        assert (session.returncode, "Traceback" in rest) == (0, False)
    assert _of(tmp_path) == []


def test_pods_end_with_a_run_that_is_killed(tmp_path: Path) -> None:
    """Its standard input is closed from the start, as that of a daemon."""
    stormc, place = _rendered(tmp_path)
    with subprocess.Popen(
        ["sh", "-c", 'exec "$@" <&-', "sh", *stormc, "run-local", "rendered/qwen3-moe", "--state", "state"], text=True,
        stdout=subprocess.PIPE, **place,
    ) as session:  # fmt: skip
        assert session.stdout
        assert any("talk to it" in line for line in session.stdout)
        assert _of(tmp_path)
        session.kill()
    end = time.monotonic() + 300
    while _of(tmp_path) and time.monotonic() < end:
        time.sleep(0.1)
    left = _of(tmp_path)
    for process in left:
        os.kill(int(process.name), signal.SIGKILL)
    assert left == []


def _of(place: Path) -> list[Path]:
    """The processes of a run whose state is below a directory."""
    return [p for p in Path("/proc").iterdir() if p.name.isdigit() and str(place).encode() in _environment(p)]


def _environment(process: Path) -> bytes:
    try:
        return (process / "environ").read_bytes()
    except OSError:
        return b""
