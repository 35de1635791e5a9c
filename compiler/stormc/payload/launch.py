"""Starts the vLLM processes of one engine pod and answers for them.

It is one file, longer than others: it travels in a ConfigMap and must run with nothing but Python's own library.

    launch.py [options] -- vllm serve MODEL --port=8080 --data-parallel-size=32 ...

The command after `--` is that of the whole instance. Which part of it this pod runs follows from its sizes
(--data-parallel-size, --tensor-parallel-size) and from the environment that AIBrix gives to the pod (POD_GROUP_SIZE,
POD_GROUP_INDEX, PODSET_NAME, STORM_SERVICE_NAME; the first three only in instances of several pods):

- external data parallelism (--external-dp): a process, a port and NPUs for every rank of the pod;
- independent engines (--independent N, dense models): as many processes as that, each with a port, KV ports and NPUs;
- one rank over all pods (--multi-node): one process; in pod 0 it serves, in the others it runs headless;
- internal data parallelism: one process; in pod 0 it serves, in the others it runs headless;
- no data parallelism: one process.

The launcher ends when the first process ends, stops the others, and fails with the code of that process: a rank that
ends by itself is a fault, and Volcano reschedules only what fails (MindCluster ascend-for-volcano
rescheduling/job.go:580-600). The algorithm is that of MindCluster's k8s-deploy-tool (example/scripts/start_server.sh),
which loses the code.
"""

from __future__ import annotations

import argparse
import contextlib
import glob
import json
import math
import os
import select
import shlex
import signal
import socket
import sys
import time
from collections.abc import Mapping, Sequence
from typing import NamedTuple

DEVICES = "ASCEND_RT_VISIBLE_DEVICES"
"""Which of the container's NPUs a process uses, counted from 0 (CANN runtime)."""
LIBRARY_PATH = "LD_LIBRARY_PATH"
LIBRARIES = (
    "/usr/local/Ascend/ascend-toolkit/latest/python/site-packages/mooncake",
    "/usr/local/lib*/python3*/site-packages/mooncake",
    "/usr/local/lib",
    "/usr/local/Ascend/ascend-toolkit/latest/lib64",
    "/usr/local/Ascend/ascend-toolkit/latest/lib64/plugin/opskernel",
    "/usr/local/Ascend/nnal/atb/latest/atb/cxx_abi_*/lib",
    "/usr/local/Ascend/driver/lib64/common",
    "/usr/local/Ascend/driver/lib64/driver",
    "/usr/local/Ascend/driver/lib64",
)
"""Where Mooncake, CANN and the driver keep libraries. Images name them in ~/.bashrc and in the script that their
ENTRYPOINT sources (vllm-ascend Dockerfile.a3; cann-container-image), neither of which a container's command reads."""
STOP_SECONDS = 20.0
"""How long a process may take to stop before it is killed."""
STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
USAGE = 2
PURPOSE = "Starts the vLLM processes of one engine pod and answers for them."


class Refused(Exception):
    """The input contradicts itself; the message says how."""


class Process(NamedTuple):
    """One process to start: its command line and what its environment has beyond the pod's."""

    command: tuple[str, ...]
    env: Mapping[str, str]


class Pod(NamedTuple):
    """Where this pod stands in its instance: how many pods, which of them, the address of the first."""

    size: int
    number: int
    head: str


def pod_of(env: Mapping[str, str]) -> Pod:
    """The pod's place in its instance. Raises Refused for values that AIBrix does not write.

    AIBrix v0.5.0 pkg/controller/constants/stormservice.go. The first pod is reached by its name below the headless
    Service that AIBrix names like the StormService.
    """
    size = _number(env, "POD_GROUP_SIZE", 1)
    index = _number(env, "POD_GROUP_INDEX", 0)
    if not 0 <= index < size:
        raise Refused(f"POD_GROUP_INDEX {index} is outside a group of {size} pods")
    if index == 0:
        return Pod(size, index, env.get("POD_IP", ""))
    names = [env.get(name, "") for name in ("PODSET_NAME", "STORM_SERVICE_NAME")]
    if not all(names):
        raise Refused("PODSET_NAME and STORM_SERVICE_NAME must name the first pod of the group; does AIBrix run it?")
    return Pod(size, index, f"{names[0]}-0.{names[1]}")


def _number(env: Mapping[str, str], name: str, default: int) -> int:
    text = env.get(name, "")
    if not text:
        return default
    if not text.isascii() or not text.isdigit():
        raise Refused(f"{name} is {text!r}, not a number")
    return int(text)


def flag_value(command: Sequence[str], flag: str) -> str | None:
    """The value of the last `--flag=value` or `--flag value` of a command line."""
    found = None
    for position, word in enumerate(command):
        if word.startswith(f"--{flag}="):
            found = word.partition("=")[2]
        elif word == f"--{flag}" and position + 1 < len(command):
            found = command[position + 1]
    return found


def flag_number(command: Sequence[str], flag: str, default: int | None = None) -> int:
    """The value of a flag as a number above 0. Raises Refused for anything else."""
    text = flag_value(command, flag)
    if text is None and default is not None:
        return default
    if text is None or not text.isascii() or not text.isdigit() or int(text) == 0:
        raise Refused(f"--{flag} is {'missing' if text is None else repr(text)}; a number above 0 is needed")
    return int(text)


def without(command: Sequence[str], flag: str) -> tuple[str, ...]:
    """The command line without a flag and its value."""
    kept: list[str] = []
    skip = False
    for word in command:
        if skip:
            skip = False
        elif word == f"--{flag}":
            skip = True
        elif not word.startswith(f"--{flag}="):
            kept.append(word)
    return tuple(kept)


class Way(NamedTuple):
    """How the ranks of an instance are started: see the options of the command line."""

    external: bool = False
    independent: int = 0
    multi_node: bool = False


def plan(command: Sequence[str], way: Way, env: Mapping[str, str]) -> list[Process]:
    """The processes of this pod, by local rank. Raises Refused for input that contradicts itself."""
    if not command:
        raise Refused("no command after --")
    ranks = flag_number(command, "data-parallel-size", 1)
    npus = npus_of_a_rank(command)
    port = flag_number(command, "port")
    pod = pod_of(env)
    if ranks % pod.size and not (way.independent or way.multi_node):
        raise Refused(f"--data-parallel-size {ranks} is not a multiple of the {pod.size} pods of the group")
    local = way.independent or max(1, ranks // pod.size)
    if way.multi_node and npus % pod.size:
        raise Refused(f"{npus} NPUs of a rank do not divide over the {pod.size} pods of the group")
    needed = npus // pod.size if way.multi_node else local * npus
    devices = [device.strip() for device in env.get(DEVICES, "").split(",") if device.strip()]
    if devices and needed > len(devices):
        raise Refused(f"{local} ranks of {npus} NPUs need more than the {len(devices)} in {DEVICES}")
    if way.multi_node:
        return [Process(_over_pods(tuple(command), pod), {})]
    if not (way.external or way.independent):
        return [Process(_internal(tuple(command), pod, ranks, local), {})]
    if not pod.head and way.external:
        raise Refused("POD_IP is empty; the template must set it from status.podIP")
    if port + local - 1 > 65535:
        raise Refused(f"port {port} leaves no room for {local} ranks")
    devices = devices or [str(device) for device in range(local * npus)]
    command = without(command, "port")
    return [
        Process(
            _alone(command, port, rank, npus) if way.independent else _external(command, port, pod, local, rank),
            {DEVICES: ",".join(devices[rank * npus : (rank + 1) * npus])},
        )
        for rank in range(local)
    ]


def npus_of_a_rank(command: Sequence[str]) -> int:
    """Tensor-parallel NPUs × pipeline stages × context-parallel ranks."""
    flags = ("tensor-parallel-size", "pipeline-parallel-size", "prefill-context-parallel-size")
    sizes = [flag_number(command, flag, 1) for flag in flags]
    return sizes[0] * sizes[1] * sizes[2]


def _external(command: tuple[str, ...], port: int, pod: Pod, local: int, rank: int) -> tuple[str, ...]:
    return (
        *command, f"--port={port + rank}", f"--data-parallel-rank={pod.number * local + rank}",
        f"--data-parallel-address={pod.head}",
    )  # fmt: skip


def _alone(command: tuple[str, ...], port: int, rank: int, npus: int) -> tuple[str, ...]:
    """The command of an engine that knows of no other: its KV ports follow those of the ranks before it."""
    text = flag_value(command, "kv-transfer-config")
    if text is not None and rank:
        try:
            config = json.loads(text)
        except ValueError:
            raise Refused("--kv-transfer-config is no JSON") from None
        moved = json.dumps(_moved(config, rank * npus), separators=(",", ":"), sort_keys=True)
        command = (*without(command, "kv-transfer-config"), f"--kv-transfer-config={moved}")
    return (*command, f"--port={port + rank}")


def _moved(config: object, by: int) -> object:
    """A KV-transfer config with every kv_port in it moved."""
    if isinstance(config, list):
        return [_moved(item, by) for item in config]
    if not isinstance(config, dict):
        return config
    return {
        key: (type(value)(int(value) + by) if key == "kv_port" and str(value).isdigit() else _moved(value, by))
        for key, value in config.items()
    }


def _over_pods(command: tuple[str, ...], pod: Pod) -> tuple[str, ...]:
    """The part of this pod in an engine that runs over all pods of the group (vllm serve --nnodes)."""
    if pod.size == 1:
        return command
    if not pod.head:
        raise Refused("POD_IP is empty; the template must set it from status.podIP")
    part = (f"--nnodes={pod.size}", f"--node-rank={pod.number}", f"--master-addr={pod.head}")
    return (*command, *part) if pod.number == 0 else (*without(command, "port"), "--headless", *part)


def _internal(command: tuple[str, ...], pod: Pod, ranks: int, local: int) -> tuple[str, ...]:
    if ranks == 1:
        return command
    if not pod.head:
        raise Refused("POD_IP is empty; the template must set it from status.podIP")
    if pod.number == 0:
        servers = () if flag_value(command, "api-server-count") else ("--api-server-count=1",)
        return (*command, *servers, f"--data-parallel-address={pod.head}")
    headless = without(without(command, "port"), "api-server-count")
    start = f"--data-parallel-start-rank={pod.number * local}"
    return (*headless, "--headless", start, f"--data-parallel-address={pod.head}")


def extended(env: Mapping[str, str], prepended: Sequence[str]) -> dict[str, str]:
    """What the environment of the processes has beyond the pod's: `NAME=TEXT` before the image's own value.

    The library path also gets those of the known directories that exist and that it lacks. Raises Refused for an
    addition without a name.
    """
    changed: dict[str, str] = {}
    for addition in prepended:
        name, equals, text = addition.partition("=")
        if not name or not equals:
            raise Refused(f"--prepend {addition!r} is not NAME=TEXT")
        before = changed.get(name, env.get(name, ""))
        changed[name] = f"{text}:{before}" if before else text
    on_it = changed.get(LIBRARY_PATH, env.get(LIBRARY_PATH, ""))
    known = [part for part in on_it.split(":") if part]
    found = [place for pattern in LIBRARIES for place in sorted(glob.glob(pattern)) if os.path.isdir(place)]
    missing = [place for place in found if place not in known]
    if missing:
        changed[LIBRARY_PATH] = ":".join([*missing, *known])
    return changed


def say(text: str) -> None:
    """One line to the pod's log."""
    print(f"launch: {text}", file=sys.stderr, flush=True)


def shown(process: Process) -> str:
    """A process as a shell would take it."""
    settings = [f"{name}={shlex.quote(value)}" for name, value in process.env.items()]
    return " ".join([*settings, shlex.join(process.command)])


def wait_for_head(pod: Pod, seconds: float) -> None:
    """Returns when the name of the first pod resolves: its DNS record may come after this pod. Raises Refused.

    Signal n ends the launcher with 128 + n meanwhile: the first process of a container has no default action for any.
    """
    if pod.number == 0:
        return
    for number in STOP_SIGNALS:
        signal.signal(number, lambda number, _: sys.exit(128 + number))
    end = time.monotonic() + seconds
    while True:
        try:
            socket.getaddrinfo(pod.head, None)
            return
        except OSError as error:
            if time.monotonic() > end:
                raise Refused(f"{pod.head} did not resolve within {seconds:.0f} s: {error}") from error
            time.sleep(min(2.0, seconds / 10))


class Supervisor:
    """Runs processes until the first of them ends or a signal asks for the end.

    Signals are heard between two steps and never in the middle of one: each puts a byte into a pipe. A handler that
    did the work itself could not print while a line is being printed, and a signal that comes just before waiting for
    a process would be heard when that process ends.
    """

    def __init__(self) -> None:
        self.running: dict[int, int] = {}
        self.asked: signal.Signals | None = None
        self.kill_at = math.inf
        self.wake, sender = os.pipe()
        for end in (self.wake, sender):
            os.set_blocking(end, False)
        signal.set_wakeup_fd(sender)

    def run(self, processes: Sequence[Process]) -> int:
        """The exit code of the pod: that of the first process that ended, or failed when the pod was asked to stop.

        A process killed by signal n counts as 128 + n, and one that ends with 0 unasked as 1. Being asked is no excuse
        for the others: the kubelet asks too when a model has not loaded in time, and Volcano would take 0 for success.
        Raises Refused when a command cannot be started; none runs then.
        """
        for number in (*STOP_SIGNALS, signal.SIGCHLD):
            signal.signal(number, lambda *_: None)
        for rank, process in enumerate(processes):
            self._hear(0)
            if self.asked is None:
                self._start(rank, process)
        code = self._next_end()
        if self.asked is None:
            code = code or 1
            # The kubelet sets the limit of a stop that it asks for; this one is ours.
            self.kill_at = time.monotonic() + STOP_SECONDS
            self._signal(signal.SIGTERM)
        while self.running:
            other = self._next_end()
            code = code or other
        signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)  # one that comes now would be the pod's exit code
        return code

    def _start(self, rank: int, process: Process) -> None:
        say(shown(process))
        try:
            child = os.posix_spawnp(
                process.command[0], process.command, {**os.environ, **process.env}, setpgroup=0, setsigdef=STOP_SIGNALS
            )
        except OSError as error:
            self._signal(signal.SIGKILL)
            raise Refused(f"{process.command[0]}: {error.strerror}") from error
        self.running[child] = rank

    def _next_end(self) -> int:
        """The exit code of the next of our processes to end, 0 when there is none."""
        while self.running:
            code = self._reap()
            if code is not None:
                return code
            self._hear(max(0.0, self.kill_at - time.monotonic()))
        return 0

    def _reap(self) -> int | None:
        """The exit code of one of our processes that has ended, None when all of them run.

        As the pod's first process the launcher also inherits, and reaps here, what others leave behind. The workers
        of a process that ended have lost their purpose, and would keep its NPUs.
        """
        while True:
            child, status = os.waitpid(-1, os.WNOHANG)
            if child == 0:
                return None
            if child in self.running:
                code = os.waitstatus_to_exitcode(status)
                code = code if code >= 0 else 128 - code
                say(f"rank {self.running.pop(child)} ended with {code}")
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(child, signal.SIGKILL)
                return code

    def _hear(self, seconds: float) -> None:
        """Waits for a signal, and passes on one that asks for the end. After the time is up, nothing may run on."""
        heard, _, _ = select.select([self.wake], [], [], None if seconds == math.inf else seconds)
        for number in os.read(self.wake, 4096) if heard else b"":
            if number in STOP_SIGNALS:
                self.asked = signal.Signals(number)
                say(f"{self.asked.name}: stopping {len(self.running)} processes")
                self._signal(self.asked)
        if time.monotonic() > self.kill_at:
            self.kill_at = math.inf
            self._signal(signal.SIGKILL)

    def _signal(self, number: signal.Signals) -> None:
        """Signals our processes, as the kubelet would; vLLM stops its own workers."""
        for child in list(self.running):
            with contextlib.suppress(ProcessLookupError):
                os.kill(child, number)


def main(argv: Sequence[str]) -> int:
    """Runs the launcher and returns the exit code of the pod; 2 for input that it refuses."""
    parser = argparse.ArgumentParser(prog="launch.py", description=PURPOSE, allow_abbrev=False)
    parser.add_argument("--external-dp", action="store_true", help="one process and one port per data-parallel rank")
    parser.add_argument("--independent", type=int, default=0, metavar="N", help="N engines that know of no other")
    parser.add_argument("--multi-node", action="store_true", help="one engine over all pods of the group")
    parser.add_argument(
        "--prepend", action="append", default=[], metavar="NAME=TEXT", help="put TEXT and a colon before a variable"
    )
    parser.add_argument(
        "--head-timeout", type=float, default=600, metavar="SECONDS", help="wait for the first pod's name (600)"
    )
    parser.add_argument("--print", action="store_true", help="show what would be started, and do not")
    parser.add_argument("command", nargs=argparse.REMAINDER, metavar="-- COMMAND", help="the command of the instance")
    options = parser.parse_args(argv)
    command = options.command[1:] if options.command[:1] == ["--"] else options.command
    try:
        way = Way(options.external_dp, options.independent, options.multi_node)
        processes = plan(command, way, os.environ)
        if options.print:
            print("\n".join(map(shown, processes)))
            return 0
        os.environ.update(extended(os.environ, options.prepend))
        wait_for_head(pod_of(os.environ), options.head_timeout)
        return Supervisor().run(processes)
    except Refused as refused:
        say(f"error: {refused}")
        return USAGE


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
