"""What a person sees of a local run: the table of pods, how to talk to the service, and the controls."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import os
import shutil
import signal
import stat
import sys
import tempfile
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from stormc.failure import Failure
from stormc.load.releases import AIBrix
from stormc.local.cluster import LocalCluster, Row
from stormc.local.pods import OLDEST
from stormc.local.programs import foreign_programs, refuse_traversal
from stormc.phrase import phrase, verbatim
from stormc.record import NamedTuple
from stormc.report.escape import one_line, raw
from stormc.tree.rendered_app import Manifest, read_manifests

START_SECONDS = 60.0
WATCH_SECONDS = 0.5


class SessionOptions(NamedTuple):
    """The options of a run.

    `ask` is a prompt to send before the run ends, `kills` are pods with the seconds after which they are killed,
    `reschedule_seconds` the time until a failed pod starts again. `run_commands` allows programs of the app without
    asking. `release` is the AIBrix whose pods are simulated.
    """

    ask: str | None
    kills: Sequence[tuple[str, float]]
    reschedule_seconds: float
    run_commands: bool = False
    release: AIBrix = OLDEST


def run_session(directory: Path, options: SessionOptions, state: Path | None) -> int:
    """Runs the app of a rendered directory until it is told to stop; the exit code."""
    manifests = read_manifests(directory)
    refuse_traversal(manifests)
    if not options.run_commands:
        _ask_to_run(foreign_programs(manifests))
    with _state(state) as place:
        return asyncio.run(_session(directory, manifests, options, place))


def _ask_to_run(programs: Sequence[str]) -> None:
    """Asks the person at the terminal about programs that are not stormc's. Raises Failure unless the answer is y."""
    if not programs:
        return
    text = "\n".join(f"  {one_line(line)}" for line in programs)
    print(f"the app runs programs of its own on this machine, as you:\n{text}", file=sys.stderr)
    if _typed():
        print("run them? [y/N] ", end="", file=sys.stderr, flush=True)
        if sys.stdin.readline().strip().lower() in ("y", "yes"):
            return
        raise Failure(phrase("nothing was run"))
    raise Failure(phrase("nothing was run; --run-commands runs them"))


@contextmanager
def _state(chosen: Path | None) -> Iterator[Path]:
    """A directory for logs and mounts: the user's, or one that goes away."""
    if chosen is not None:
        chosen.mkdir(parents=True, exist_ok=True)
        yield chosen.resolve()
        return
    temporary = Path(tempfile.mkdtemp(prefix="stormc-local-"))
    try:
        yield temporary
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


async def _session(directory: Path, manifests: list[Manifest], options: SessionOptions, state: Path) -> int:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    cluster = LocalCluster(state, options.reschedule_seconds, options.release)
    try:
        problems = await cluster.apply(manifests)
        if problems:
            raise Failure(verbatim("; ".join(problems)))
        view = View(cluster, in_place=options.ask is None and _typed() and sys.stdout.isatty())
        watching = asyncio.create_task(view.follow())
        try:
            if not await _ready(cluster, stop):
                return 0 if stop.is_set() else _not_ready(cluster, state)
            if options.ask is not None:
                watching.cancel()
                view.show(await cluster.instances())
                url, model = cluster.url(cluster.client_service), _model(manifests)
                return await asyncio.to_thread(_ask, url, model, options.ask)
            view.invite(_invitation(cluster, manifests, state))
            tasks = [asyncio.create_task(_kill_later(cluster, view, pod, seconds)) for pod, seconds in options.kills]
            tasks += [
                asyncio.create_task(_follow(cluster, view, directory, options.run_commands)),
                asyncio.create_task(_obey(cluster, view, stop)),
            ]
            await stop.wait()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            return 0
        finally:
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)
    finally:
        await cluster.close()


def _typed() -> bool:
    """Whether somebody types the commands; standard input may be closed."""
    return sys.stdin is not None and sys.stdin.isatty()


async def _ready(cluster: LocalCluster, stop: asyncio.Event) -> bool:
    """Whether all pods became ready in time."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(START_SECONDS):
            while not cluster.all_ready and not stop.is_set():
                await asyncio.sleep(0.05)
    return cluster.all_ready and not stop.is_set()


def _not_ready(cluster: LocalCluster, state: Path) -> int:
    for row in cluster.rows():
        if not row.ready:
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


def _invitation(cluster: LocalCluster, manifests: Sequence[Manifest], state: Path) -> list[str]:
    url = cluster.url(cluster.client_service)
    body = json.dumps({"model": _model(manifests), "prompt": "Hello", "max_tokens": 16})
    return [
        f"talk to it:   curl {url}/v1/completions -H 'Content-Type: application/json' -d '{body}'",
        f"look at it:   {url}/",
        f"logs:         {state / 'logs'}",
        "controls:     kill POD (such as: kill decode-0); edit the spec, then stormc render; Ctrl-C ends",
    ]


class View:
    """The table of pods: above the prompt of a terminal and redrawn in place, else a line for each change."""

    def __init__(self, cluster: LocalCluster, *, in_place: bool) -> None:
        self.cluster, self.in_place = cluster, in_place
        self.shown: dict[str, str] = {}
        self.below: list[str] = []

    async def follow(self) -> None:
        """Shows what changes, for as long as it is not cancelled."""
        for turn in itertools.count():
            if turn % 5 == 0:
                proxy_view = await self.cluster.instances()
            self.show(proxy_view)
            await asyncio.sleep(0.1)

    def show(self, proxy_view: Mapping[str, str]) -> None:
        """Brings the table up to date; `proxy_view` is what the proxy thinks of each pod."""
        rows = {row.pod: _line(row, proxy_view.get(row.pod, "")) for row in self.cluster.rows()}
        if rows == self.shown:
            return
        if self.in_place:
            self.draw(rows, whole=rows.keys() != self.shown.keys())
        else:
            removed = [f"{pod:14} gone" for pod in self.shown.keys() - rows.keys()]
            changed = [line for pod, line in rows.items() if self.shown.get(pod) != line]
            print("\n".join([*removed, *changed]), flush=True)
        self.shown = rows

    def invite(self, lines: Sequence[str]) -> None:
        """Says how to talk to the service and how to control the run."""
        self.below = [*lines, ""]
        if self.in_place:
            self.draw(self.shown, whole=True)
        else:
            print("\n".join(["", *self.below]), flush=True)

    def say(self, text: str) -> None:
        """An answer to a control, or what is wrong with the manifests that changed."""
        if self.in_place:
            self.draw(self.shown, whole=True)
        print(text, flush=True)

    def draw(self, rows: Mapping[str, str], *, whole: bool) -> None:
        """Writes the table over the last one; the cursor stays where somebody types, unless the whole is redrawn."""
        head = f"{'POD':14} {'ROLE':8} {'ADDRESS':15} {'STATE':12} {'STARTS':6}  PROXY"
        table = "".join(f"{one_line(line)}\x1b[K\n" for line in (head, *rows.values()))
        before, after = (
            ("\x1b[2J\x1b[H", "\n" + "\n".join(map(one_line, self.below))) if whole else ("\x1b7\x1b[H", "\x1b8")
        )
        print(before + table + after, end="", flush=True, file=raw(sys.stdout))


def _line(row: Row, proxy: str) -> str:
    return f"{row.pod:14} {row.role:8} {row.address:15} {row.state:12} {row.starts:6}  {proxy}".rstrip()


async def _kill_later(cluster: LocalCluster, view: View, pod: str, seconds: float) -> None:
    await asyncio.sleep(seconds)
    await _kill(cluster, view, pod)


async def _kill(cluster: LocalCluster, view: View, name: str) -> None:
    """Kills a pod, or all pods of an instance: `decode-0` is also each `decode-0-*`."""
    pods = [row.pod for row in cluster.rows() if row.pod == name or row.pod.startswith(f"{name}-")]
    if pods:
        view.say(f"killing {', '.join(pods)}")
    else:
        view.say(f"no pod {name}; there are: {', '.join(row.pod for row in cluster.rows())}")
    for pod in pods:
        await cluster.kill(pod)


async def _follow(cluster: LocalCluster, view: View, directory: Path, allowed: bool) -> None:
    """Applies the rendered directory again whenever it changes."""
    applied = cluster.manifests
    while True:
        await asyncio.sleep(WATCH_SECONDS)
        with contextlib.suppress(Failure):  # a render is under way
            manifests = await asyncio.to_thread(read_manifests, directory)
            if manifests != applied:
                applied = manifests
                refuse_traversal(manifests)
                if not allowed and (programs := foreign_programs(manifests)):
                    view.say(f"{directory} changed, and is not applied: {one_line('; '.join(programs))}")
                    continue
                view.say(f"{directory} changed")
                for problem in await cluster.apply(manifests):
                    view.say(problem)


async def _obey(cluster: LocalCluster, view: View, stop: asyncio.Event) -> None:
    """Commands from standard input, when it is a terminal or a pipe."""
    if sys.stdin is None:
        return
    kind = os.fstat(sys.stdin.fileno()).st_mode
    if not (_typed() or stat.S_ISFIFO(kind) or stat.S_ISSOCK(kind)):
        return
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while line := (await reader.readline()).decode(errors="replace"):
        match line.split():
            case ["kill", name]:
                await _kill(cluster, view, name)
            case ["quit" | "exit"]:
                stop.set()
            case []:
                pass
            case _:
                view.say("commands: kill POD, quit")
