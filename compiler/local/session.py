"""What a person sees of a local run: the table of pods, how to talk to the service, and the controls."""

from __future__ import annotations

import asyncio
import contextlib
import json
import shutil
import signal
import sys
import tempfile
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from compiler.failure import Failure
from compiler.local.cluster import LocalCluster, Manifest, read_manifests

START_SECONDS = 60.0
WATCH_SECONDS = 0.5


def run_session(directory: Path, ask: str | None, kills: Sequence[tuple[str, float]], state: Path | None) -> int:
    """Runs the app of a rendered directory until it is told to stop; the exit code."""
    manifests = read_manifests(directory)
    with _state(state) as place:
        return asyncio.run(_session(directory, manifests, ask, kills, place))


@contextmanager
def _state(given: Path | None) -> Iterator[Path]:
    """A directory for logs and mounts: the user's, or one that goes away."""
    if given is not None:
        given.mkdir(parents=True, exist_ok=True)
        yield given.resolve()
        return
    made = Path(tempfile.mkdtemp(prefix="stormc-local-"))
    try:
        yield made
    finally:
        shutil.rmtree(made, ignore_errors=True)


async def _session(
    directory: Path, manifests: list[Manifest], ask: str | None, kills: Sequence[tuple[str, float]], state: Path
) -> int:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    cluster = LocalCluster(state)
    try:
        problems = await cluster.apply(manifests)
        if problems:
            raise Failure("; ".join(problems))
        view = asyncio.create_task(_show(cluster))
        try:
            if not await _ready(cluster, stop):
                return 0 if stop.is_set() else _not_ready(cluster, state)
            if ask is not None:
                return await asyncio.to_thread(_ask, cluster.url(cluster.client_service), _model(manifests), ask)
            _invite(cluster, manifests, state)
            tasks = [asyncio.create_task(_kill_later(cluster, pod, seconds)) for pod, seconds in kills]
            tasks += [asyncio.create_task(_follow(cluster, directory)), asyncio.create_task(_obey(cluster, stop))]
            await stop.wait()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            return 0
        finally:
            view.cancel()
            await asyncio.gather(view, return_exceptions=True)
    finally:
        await cluster.close()


async def _ready(cluster: LocalCluster, stop: asyncio.Event) -> bool:
    """Whether all pods became ready in time."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(START_SECONDS):
            while not cluster.all_ready and not stop.is_set():
                await asyncio.sleep(0.05)
    return cluster.all_ready and not stop.is_set()


def _not_ready(cluster: LocalCluster, state: Path) -> int:
    for row in cluster.rows():
        if row.state != "Ready":
            log = state / "logs" / f"{row.pod}.log"
            last = log.read_text(errors="replace").splitlines()[-3:] if log.exists() else []
            print(f"{row.pod} is {row.state}: {' | '.join(last) or 'no output'}", file=sys.stderr)
    return 1


def _model(manifests: Sequence[Manifest]) -> str:
    """The name under which the engines serve."""
    text = json.dumps(manifests)
    return text.partition("--served-model-name=")[2].partition('"')[0]


def _ask(url: str, model: str, prompt: str) -> int:
    body = {"model": model, "prompt": prompt, "max_tokens": 32}
    print(f"$ curl {url}/v1/completions -H 'Content-Type: application/json' -d '{json.dumps(body)}'")
    request = urllib.request.Request(
        f"{url}/v1/completions", json.dumps(body).encode(), {"Content-Type": "application/json"}
    )
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            print(answer.read().decode())
            return 0
    except OSError as error:
        print(f"no completion: {error}", file=sys.stderr)
        return 1


def _invite(cluster: LocalCluster, manifests: Sequence[Manifest], state: Path) -> None:
    url = cluster.url(cluster.client_service)
    body = json.dumps({"model": _model(manifests), "prompt": "Hello", "max_tokens": 16})
    print(f"\ntalk to it:   curl {url}/v1/completions -H 'Content-Type: application/json' -d '{body}'")
    print(f"look at it:   {url}/")
    print(f"logs:         {state / 'logs'}")
    print("controls:     kill POD (such as: kill decode-0); edit the spec, then make render; Ctrl-C ends\n", flush=True)


async def _show(cluster: LocalCluster) -> None:
    """The table of pods, redrawn in place on a terminal, else one line for each change."""
    shown: dict[str, tuple[str, str]] = {}
    while True:
        for row in cluster.rows():
            now = (row.address, row.state)
            if shown.get(row.pod) != now:
                shown[row.pod] = now
                restarts = f"  start {row.starts}" if row.starts > 1 else ""
                print(f"{row.pod:14} {row.role:8} {row.address:15} {row.state}{restarts}", flush=True)
        for pod in shown.keys() - {row.pod for row in cluster.rows()}:
            print(f"{pod:14} gone", flush=True)
            del shown[pod]
        await asyncio.sleep(0.1)


async def _kill_later(cluster: LocalCluster, pod: str, seconds: float) -> None:
    await asyncio.sleep(seconds)
    await _kill(cluster, pod)


async def _kill(cluster: LocalCluster, name: str) -> None:
    """Kills a pod, or all pods of an instance: `decode-0` is also each `decode-0-*`."""
    pods = [row.pod for row in cluster.rows() if row.pod == name or row.pod.startswith(f"{name}-")]
    if not pods:
        print(f"no pod {name}; there are: {', '.join(row.pod for row in cluster.rows())}", flush=True)
    for pod in pods:
        await cluster.kill(pod)


async def _follow(cluster: LocalCluster, directory: Path) -> None:
    """Applies the rendered directory again whenever it changes."""
    seen = cluster.manifests
    while True:
        await asyncio.sleep(WATCH_SECONDS)
        with contextlib.suppress(Failure):  # a render is under way
            manifests = await asyncio.to_thread(read_manifests, directory)
            if manifests != seen:
                seen = manifests
                for problem in await cluster.apply(manifests):
                    print(problem, flush=True)


async def _obey(cluster: LocalCluster, stop: asyncio.Event) -> None:
    """Commands from standard input, when it is a terminal or a pipe that says something."""
    reader = asyncio.StreamReader()
    try:
        await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    except ValueError:
        return  # a file, such as /dev/null
    while line := (await reader.readline()).decode(errors="replace"):
        match line.split():
            case ["kill", name]:
                await _kill(cluster, name)
            case ["quit" | "exit"]:
                stop.set()
            case []:
                pass
            case _:
                print("commands: kill POD, quit", flush=True)
