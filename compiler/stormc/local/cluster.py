"""Runs the pods of a rendered app as processes, each on a loopback address of its own, and follows its manifests.

What is simulated: AIBrix (which pods there are, and their replacement when one fails or its template changes), the
rescheduling of MindCluster (failed pods of groups, which AIBrix keeps), the kubelet (environment, ConfigMap mounts that
swap a link, probes, restarts), kube-proxy (Services) and DNS. What is not: the scheduler, NPUs, container images; host
directories are mounted where this machine has them, `python3` and `vllm` are this interpreter and a stand-in.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from stormc.facts.keys import Label
from stormc.facts.limits import ROUTING
from stormc.facts.pods import GRACE_SECONDS, PROBE_FAILURES
from stormc.failure import Failure
from stormc.load.releases import AIBrix
from stormc.local import names, vllm
from stormc.local.mounts import mount, outside
from stormc.local.network import Network
from stormc.local.pods import OLDEST, Pod, Replacer, State, environment, expand, pods_of, selected, selector_problems
from stormc.local.probes import instances_of, passes
from stormc.local.processes import end_with_parent, kill_session
from stormc.local.services import Forwarder, names_of, ports_of
from stormc.phrase import phrase
from stormc.record import NamedTuple
from stormc.tree.rendered_app import Manifest

ROLESET_SUFFIX = "local"
STOP_SECONDS = 5.0
"""How long a pod may take to stop at the end of the run; else its own grace period counts."""
PROBE_SECONDS = 0.25
RESCHEDULE_SECONDS = 1.0
PATH = "/usr/local/bin:/usr/bin:/bin"


class Row(NamedTuple):
    """A line of the table of pods."""

    pod: str
    role: str
    address: str
    state: str
    ready: bool
    starts: int


class RunningPod:
    """A pod and its process."""

    def __init__(self, pod: Pod, address: str, root: Path) -> None:
        self.pod, self.address, self.root = pod, address, root
        self.process: asyncio.subprocess.Process | None = None
        self.starting = asyncio.Lock()
        self.state, self.failure = State.PENDING, ""
        self.starts = 0
        self.deleted = False
        self.tasks: list[asyncio.Task[None]] = []

    @property
    def ready(self) -> bool:
        """Whether Services send connections to it."""
        return self.state is State.READY


class LocalCluster:
    """Everything that runs. A failed pod is started again, or replaced, after `reschedule_seconds`.

    `release` is the AIBrix whose pods these are.
    """

    def __init__(self, state: Path, reschedule_seconds: float = RESCHEDULE_SECONDS, release: AIBrix = OLDEST) -> None:
        self.state = state
        self.release = release
        self.reschedule_seconds = reschedule_seconds
        self.network = Network()
        self.pods: dict[str, RunningPod] = {}
        self.addresses: dict[str, str] = {}
        self.manifests: list[Manifest] = []
        self._forwarders: dict[tuple[str, int], Forwarder] = {}
        self._services = asyncio.Lock()
        self._tasks: set[asyncio.Task[None]] = set()
        self._prepare()

    def _prepare(self) -> None:
        """The programs that containers call, and the name service."""
        programs, site = self.state / "bin", self.state / "site"
        for directory in (programs, site, self.state / "logs", self.state / "pods"):
            directory.mkdir(parents=True, exist_ok=True)
        for name, command in (("python3", ""), ("vllm", f" {vllm.__file__}")):
            program = programs / name
            program.write_text(f'#!/bin/sh\nexec {sys.executable}{command} "$@"\n')
            program.chmod(0o755)
        shutil.copy(names.__file__, site / "sitecustomize.py")
        self._write_names()

    # What is asked for

    async def apply(self, manifests: Sequence[Manifest]) -> list[str]:
        """Brings pods, ConfigMaps and Services to the state of the manifests; returns what is wrong with the selectors.

        A role whose template hash changed gets all its pods anew, as under InPlaceUpdate; the others keep running.
        """
        self.manifests = list(manifests)
        storm = self._storm
        roleset = f"{storm['metadata']['name']}-roleset-{ROLESET_SUFFIX}"
        expected = {pod.short: pod for pod in pods_of(storm, roleset, self.release)}
        services = self._of_kind("Service")
        for service in services:
            self.addresses.setdefault(service["metadata"]["name"], self.network.service())
        for running in self.pods.values():
            mount(running.pod, running.root, self._of_kind("ConfigMap"))
        outdated = [short for short, running in self.pods.items() if expected.get(short) != running.pod]
        await asyncio.gather(*(self._delete(self.pods[short]) for short in outdated))
        for short, pod in expected.items():
            if short not in self.pods:
                self._create(pod)
        self.pods = {short: self.pods[short] for short in expected}
        await self._update_services()
        return selector_problems(services, [running.pod for running in self.pods.values()])

    async def kill(self, short: str) -> None:
        """Kills a pod's processes as a fault would. Raises KeyError for a pod that there is not."""
        process = self.pods[short].process
        if process is not None and process.returncode is None:
            kill_session(process.pid)

    async def close(self) -> None:
        """Stops every process and listener."""
        await asyncio.gather(*(self._delete(running, STOP_SECONDS) for running in list(self.pods.values())))
        await asyncio.gather(*(forwarder.close() for forwarder in self._forwarders.values()))
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self.network.close()

    # What is seen

    @property
    def _storm(self) -> Manifest:
        (storm,) = self._of_kind("StormService")
        return storm

    def _of_kind(self, kind: str) -> list[Manifest]:
        return [manifest for manifest in self.manifests if manifest["kind"] == kind]

    def rows(self) -> list[Row]:
        """The table of pods."""
        return [
            Row(short, each.pod.role, each.address, each.failure or each.state.value, each.ready, each.starts)
            for short, each in self.pods.items()
        ]

    async def instances(self) -> dict[str, str]:
        """What a proxy thinks of the pods that it routes to, in words; nothing while none answers."""
        proxies = [running for running in self.pods.values() if running.pod.role == ROUTING and running.ready]
        if not proxies:
            return {}
        port = proxies[0].pod.container["ports"][0]["containerPort"]
        healthy = await instances_of(proxies[0].address, port)
        return {
            pod.short: f"{sum(healthy[host])} of {len(healthy[host])} healthy"
            for service in self._of_kind("Service") if (host := service["metadata"]["name"]) in healthy
            for pod in selected(service, [running.pod for running in self.pods.values()])
        }  # fmt: skip

    @property
    def all_ready(self) -> bool:
        """Whether every pod is ready."""
        return all(running.ready for running in self.pods.values())

    def url(self, service: str) -> str:
        """Where a Service of one port is reached from this machine."""
        (manifest,) = [m for m in self._of_kind("Service") if m["metadata"]["name"] == service]
        return f"http://{self.addresses[service]}:{next(iter(ports_of(manifest)))}"

    @property
    def client_service(self) -> str:
        """The Service of the routing pods."""
        for service in self._of_kind("Service"):
            if service["spec"]["selector"].get(Label.ROLE) == ROUTING:
                return str(service["metadata"]["name"])
        raise Failure(phrase("no Service selects the routing pods"))

    # Pods

    def _create(self, pod: Pod, starts: int = 0) -> None:
        address = self.network.pod()
        running = RunningPod(pod, address, self.state / "pods" / f"{pod.name}-{address}")
        running.starts = starts
        self.pods[pod.short] = running
        running.tasks = [asyncio.create_task(self._run(running)), asyncio.create_task(self._probe(running))]

    async def _delete(self, running: RunningPod, seconds: float | None = None) -> None:
        """Out of the Services first, then SIGTERM, then SIGKILL to whatever is left of the pod.

        There is no `preStop`: nobody is sent here any more once the Services are up to date.
        """
        running.deleted = True
        if seconds is None:
            seconds = running.pod.spec.get("terminationGracePeriodSeconds", GRACE_SECONDS)
        await self._set(running, State.TERMINATING)
        async with running.starting:
            process = running.process
        if process is not None and process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.terminate()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(process.wait(), seconds)
            kill_session(process.pid)
            await process.wait()
        for task in running.tasks:
            if task is not asyncio.current_task():
                task.cancel()
        if self.pods.get(running.pod.short) is running:
            del self.pods[running.pod.short]
        shutil.rmtree(running.root, ignore_errors=True)

    async def _run(self, running: RunningPod) -> None:
        """The life of one pod: it is started, and when it fails restarted or replaced, or left as it is."""
        replacer = running.pod.replacer
        while True:
            running.starts += 1
            code = await self._start(running)
            if running.deleted:
                return
            await self._set(running, State.FAILED, f"{State.FAILED.value} ({code}): {replacer.value}")
            if replacer is Replacer.NOBODY:
                return
            await asyncio.sleep(self.reschedule_seconds)
            if replacer is not Replacer.KUBELET:
                break
        self._spawn(self._replace(running))

    async def _replace(self, running: RunningPod) -> None:
        await self._delete(running)
        self._create(running.pod, running.starts)

    def _spawn(self, work: Any) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _start(self, running: RunningPod) -> int:
        """Runs the container once and returns its exit code; a pod that is deleted by then starts nothing."""
        async with running.starting:
            code = 0 if running.deleted else await self._spawn_process(running)
        if running.process is None or code is not None:
            return code or 0
        await self._set(running, State.RUNNING)
        code = await running.process.wait()
        kill_session(running.process.pid)
        return code if code >= 0 else 128 - code

    async def _spawn_process(self, running: RunningPod) -> int | None:
        """Starts the container's process; its exit code where that fails."""
        mount(running.pod, running.root, self._of_kind("ConfigMap"))
        self._write_names()
        pod, container = running.pod, running.pod.container
        env = environment(pod, running.address)
        inside = [expand(word, env) for word in (*container.get("command", ()), *container.get("args", ()))]
        command = [outside(pod, running.root, running.address, word) for word in inside]
        directory = running.root / str(container.get("workingDir", "/")).lstrip("/")
        directory.mkdir(parents=True, exist_ok=True)
        with open(self.state / "logs" / f"{pod.short}.log", "ab") as log:
            try:
                running.process = await asyncio.create_subprocess_exec(
                    *command, cwd=directory, env={**env, **self._system(running)}, stdin=asyncio.subprocess.DEVNULL,
                    stdout=log, stderr=log, start_new_session=True, preexec_fn=end_with_parent,
                )  # fmt: skip
            except OSError as error:
                log.write(f"{command[0]}: {error.strerror}\n".encode())
                return 127
        return None

    def _system(self, running: RunningPod) -> dict[str, str]:
        """What the image and the node bring to a container's environment."""
        return {
            "PATH": f"{self.state / 'bin'}:{PATH}", "HOME": str(running.root), "PYTHONPATH": str(self.state / "site"),
            "PYTHONUNBUFFERED": "1", names.FILE: str(self.state / "names.json"),
        }  # fmt: skip

    # Probes, Services, names

    async def _probe(self, running: RunningPod) -> None:
        """Readiness by the container's own probe; a container without one is ready as long as it runs.

        One failure may only say that the machine is busy: the probe's failureThreshold counts, as in a cluster.
        """
        check = running.pod.container.get("readinessProbe", {})
        failures = 0
        while not running.deleted:
            await asyncio.sleep(PROBE_SECONDS)
            if running.state not in (State.RUNNING, State.READY):
                continue
            failures = 0 if await self._passes(running, check) else failures + 1
            well = failures == 0 or (running.ready and failures < check.get("failureThreshold", PROBE_FAILURES))
            if well != running.ready and not running.deleted and running.state in (State.RUNNING, State.READY):
                await self._set(running, State.READY if well else State.RUNNING)

    async def _passes(self, running: RunningPod, check: Manifest) -> bool:
        return await passes(
            check, running.address, {**environment(running.pod, running.address), **self._system(running)}
        )

    async def _set(self, running: RunningPod, state: State, failure: str = "") -> None:
        running.state, running.failure = state, failure
        await self._update_services()

    async def _update_services(self) -> None:
        """One after the other: an update that was overtaken would bring an older state back."""
        async with self._services:
            await self._point_services()
        self._write_names()

    async def _point_services(self) -> None:
        pods = list(self.pods.values())
        endpoints: dict[tuple[str, int], tuple[tuple[str, int], ...]] = {}
        for service in self._of_kind("Service"):
            name = service["metadata"]["name"]
            chosen = {pod.name for pod in selected(service, [running.pod for running in pods])}
            ready = [running.address for running in pods if running.ready and running.pod.name in chosen]
            for port, target in ports_of(service).items():
                endpoints[name, port] = tuple((address, target) for address in ready)
        for key in {*self._forwarders, *endpoints}:
            if key not in self._forwarders:
                self._forwarders[key] = Forwarder(self.addresses[key[0]], key[1])
            await self._forwarders[key].point_to(endpoints.get(key, ()))

    def _write_names(self) -> None:
        namespace = self._storm["metadata"]["namespace"] if self.addresses else ""
        known = names_of(self.addresses, namespace, [(running.pod, running.address) for running in self.pods.values()])
        target = self.state / "names.json"
        fresh = target.with_suffix(".new")
        fresh.write_text(json.dumps(known, indent=1))
        os.replace(fresh, target)
