"""Plays scheduler and kubelets: pods are bound, become ready, fail and end. What happens to them is recorded."""

from __future__ import annotations

import asyncio
import contextlib
import json
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from itertools import count
from typing import Any, NamedTuple

import aiohttp

from stormc.facts.keys import Label
from tests.e2e.live.control_plane import ADMIN, ControlPlane

NODES = tuple(f"node-{number}" for number in range(4))
LEASE_SECONDS = 1.0
MERGE = {"Content-Type": "application/merge-patch+json"}

Pod = dict[str, Any]


class Happening(NamedTuple):
    """Something that happened to a pod, in the order in which it did: created, ready, unready, ending or gone.

    `slot` is the number of the instance that the pod belongs to.
    """

    what: str
    namespace: str
    app: str
    role: str
    slot: str
    name: str
    uid: str


class Kubelet:
    """All kubelets of the cluster, in a thread. Pods become ready after `delay` seconds unless `held` says no.

    Held pods run, and have an address. `may_end` says whether a pod that is to end may be gone. `schedules` says which
    pods are bound here; the others wait for a scheduler that runs beside it.
    """

    def __init__(self, plane: ControlPlane, delay: float = 0.03) -> None:
        self.plane, self.delay = plane, delay
        self.held: Callable[[Pod], bool] = lambda pod: False
        self.may_end: Callable[[Pod], bool] = lambda pod: True
        self.schedules: Callable[[Pod], bool] = lambda pod: True
        self.lost: set[str] = set()
        self.happenings: list[Happening] = []
        self.changed = threading.Condition()
        self._last: dict[str, float] = {}
        self._pods: dict[str, Pod] = {}
        self._ready: set[str] = set()
        self._numbers = count()
        self._waiting: dict[str, asyncio.Task[None]] = {}
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._task = asyncio.run_coroutine_threadsafe(self._run(), self._loop)

    def close(self) -> None:
        """Ends the thread."""
        self._call(self._stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()

    def check(self) -> None:
        """Raises what went wrong in the thread, if anything."""
        if self._task.done():
            self._task.result()

    # What tests ask for and do

    def pods(self, namespace: str, app: str = "", role: str = "") -> list[Pod]:
        """The pods of a namespace that are there and do not end, of one app or role if that is given."""
        return [
            pod for pod in self.all_pods()
            if pod["metadata"]["namespace"] == namespace and not ends(pod)
            and app in ("", label(pod, Label.STORM_SERVICE)) and role in ("", label(pod, Label.ROLE))
        ]  # fmt: skip

    def all_pods(self) -> list[Pod]:
        """All pods that are there, those that end too."""
        with self.changed:
            return list(self._pods.values())

    def quiet_for(self, namespace: str) -> float:
        """The seconds since something happened to a pod of a namespace."""
        return time.monotonic() - self._last.get(namespace, 0.0)

    def mark(self) -> int:
        """A place in `happenings` from which a test looks on."""
        return len(self.happenings)

    def release(self) -> None:
        """Nothing is held any more."""
        self.held = lambda pod: False
        self._call(self._settle_all())

    def fail(self, pod: Pod) -> None:
        """The pod's container ends with an error and is not started again: restartPolicy Never."""
        self._call(self._fail(pod))

    def lose(self, node: str) -> None:
        """The node's kubelet confirms no deletion any more; node and pods are NotReady, as after its grace period.

        Kubernetes marks the pods itself where it was the one to find the node lost (node_lifecycle_controller.go,
        MarkPodsNotReady). AIBrix counts a pod that only ends as ready: the member of a group for minutes.
        """
        self.lost.add(node)
        self._call(self._lose(node))

    def restore(self, node: str) -> None:
        """The node and its kubelet are there again."""
        self.lost.discard(node)
        self._call(self._node(node))

    def _call(self, work: Any) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(60)

    async def _stop(self) -> None:
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    # The life of a pod

    async def _run(self) -> None:
        connector = aiohttp.TCPConnector(ssl=self.plane.trust(), limit=32)
        headers = {"Authorization": f"Bearer {ADMIN}"}
        async with aiohttp.ClientSession(
            self.plane.url, connector=connector, headers=headers, read_bufsize=2**20, timeout=aiohttp.ClientTimeout()
        ) as self._http:
            for node in NODES:
                await self._node(node)
            await asyncio.gather(self._watch(), self._keep_alive())

    async def _watch(self) -> None:
        """Follows all pods, and begins anew when the server ends the stream."""
        while True:
            async with self._http.get("/api/v1/pods") as answer:
                listed = await answer.json()
            gone = self._pods.keys() - {pod["metadata"]["uid"] for pod in listed["items"]}
            for pod in listed["items"]:
                self._seen("ADDED", pod)
            for uid in gone:
                self._seen("DELETED", self._pods[uid])
            query = {"watch": "true", "resourceVersion": listed["metadata"]["resourceVersion"]}
            with contextlib.suppress(aiohttp.ClientError):
                async with self._http.get("/api/v1/pods", params=query) as stream:
                    async for line in stream.content:
                        event = json.loads(line)
                        if event["type"] == "ERROR":
                            break
                        self._seen(event["type"], event["object"])

    def _seen(self, event: str, pod: Pod) -> None:
        uid = pod["metadata"]["uid"]
        with self.changed:
            known: Pod | None = self._pods.get(uid)
            if event == "DELETED":
                self._pods.pop(uid, None)
                self._ready.discard(uid)
                if known is not None:
                    self._record("gone", pod)
            else:
                self._pods[uid] = pod
                if known is None:
                    self._record("created", pod)
                if known is not None and ends(pod) and not ends(known):
                    self._record("ending", pod)
                self._record_readiness(uid, pod)
            self.changed.notify_all()
        if event == "DELETED":
            self._waiting.pop(uid, None)
        else:
            self._settle(pod)

    def _record_readiness(self, uid: str, pod: Pod) -> None:
        ready = is_ready(pod)
        if ready != (uid in self._ready):
            (self._ready.add if ready else self._ready.discard)(uid)
            self._record("ready" if ready else "unready", pod)

    def _record(self, what: str, pod: Pod) -> None:
        metadata = pod["metadata"]
        self._last[metadata["namespace"]] = time.monotonic()
        app, role, slot = (label(pod, key) for key in (Label.STORM_SERVICE, Label.ROLE, Label.ROLE_REPLICA))
        self.happenings.append(
            Happening(what, metadata["namespace"], app, role, slot, metadata["name"], metadata["uid"])
        )

    def _settle(self, pod: Pod) -> None:
        """Starts what this pod's kubelet does next, unless it does something already."""
        uid = pod["metadata"]["uid"]
        if uid in self._waiting or pod["spec"].get("nodeName") in self.lost:
            return
        if next(self._next(pod), None) is not None:
            self._waiting[uid] = asyncio.create_task(self._work(uid))

    async def _settle_all(self) -> None:
        for pod in list(self._pods.values()):
            self._settle(pod)

    def _next(self, pod: Pod) -> Iterator[Callable[[Pod], Any]]:
        """What is to be done for a pod, if anything."""
        if ends(pod):
            if self.may_end(pod):
                yield self._end
        elif "nodeName" not in pod["spec"]:
            if self.schedules(pod):
                yield self._bind
        elif not is_ready(pod) and pod["status"]["phase"] in ("Pending", "Running"):
            if not self.held(pod):
                yield self._become_ready
            elif "podIP" not in pod["status"]:
                yield self._start

    async def _work(self, uid: str) -> None:
        try:
            await asyncio.sleep(self.delay)
            pod = self._pods.get(uid)
            if pod is not None:
                for step in self._next(pod):
                    await step(pod)
        except aiohttp.ClientError:  # the server ends, or closed an old connection: once more
            pass
        finally:
            self._waiting.pop(uid, None)
            if uid in self._pods:
                self._loop.call_later(self.delay, self._settle_again, uid)

    def _settle_again(self, uid: str) -> None:
        if uid in self._pods:
            self._settle(self._pods[uid])

    async def _bind(self, pod: Pod) -> None:
        node = NODES[next(self._numbers) % len(NODES)]
        name = pod["metadata"]["name"]
        body = {
            "apiVersion": "v1", "kind": "Binding", "metadata": {"name": name},
            "target": {"apiVersion": "v1", "kind": "Node", "name": node},
        }  # fmt: skip
        await self._send("POST", f"{_path(pod)}/binding", body)

    async def _start(self, pod: Pod) -> None:
        await self._run_container(pod, ready=False)

    async def _become_ready(self, pod: Pod) -> None:
        await self._run_container(pod, ready=True)

    async def _run_container(self, pod: Pod, ready: bool) -> None:
        address = pod["status"].get("podIP") or self._address()
        await self._status(pod, "Running", ready, {
            "podIP": address, "podIPs": [{"ip": address}], "hostIP": self.plane.address,
            "containerStatuses": [_container(c, {"running": {}}, ready) for c in pod["spec"]["containers"]],
        })  # fmt: skip

    async def _fail(self, pod: Pod) -> None:
        ended = {"terminated": {"exitCode": 1, "reason": "Error"}}
        statuses = [_container(c, ended, False) for c in pod["spec"]["containers"]]
        await self._status(pod, "Failed", False, {"containerStatuses": statuses})

    async def _lose(self, node: str) -> None:
        await self._condition(node, "Unknown", "NodeStatusUnknown")
        for pod in self.all_pods():
            if pod["spec"].get("nodeName") == node:
                await self._status(pod, pod["status"]["phase"], False, {})

    async def _status(self, pod: Pod, phase: str, ready: bool, more: dict[str, Any]) -> None:
        types = ("PodScheduled", "Initialized", "ContainersReady", "Ready")
        conditions = [{"type": t, "status": str(ready or t in types[:2])} for t in types]
        status = {"phase": phase, "conditions": conditions, **more}
        body = {"metadata": {"uid": pod["metadata"]["uid"]}, "status": status}
        await self._send("PATCH", f"{_path(pod)}/status", body, MERGE)

    async def _end(self, pod: Pod) -> None:
        body = {"gracePeriodSeconds": 0, "preconditions": {"uid": pod["metadata"]["uid"]}}
        await self._send("DELETE", _path(pod), body)

    def _address(self) -> str:
        number = next(self._numbers) + 512
        return f"10.200.{number // 250 % 250}.{number % 250 + 1}"

    async def _send(self, method: str, path: str, body: Any, headers: dict[str, str] | None = None) -> None:
        """A request that may come too late: the pod is gone, or another has its name."""
        async with self._http.request(method, path, json=body, headers=headers) as answer:
            assert answer.status < 300 or answer.status in (404, 409), await answer.text()

    # Nodes

    async def _node(self, name: str) -> None:
        """A node with NPUs; its kubelet says that it is ready."""
        metadata = {"name": name, "labels": {"kubernetes.io/hostname": name}}
        body = {"apiVersion": "v1", "kind": "Node", "metadata": metadata}
        await self._send("POST", "/api/v1/nodes", body)
        npus = {"huawei.com/Ascend910": "1600", "cpu": "100000", "memory": "100Ti", "pods": "10000"}
        conditions = [{"type": "Ready", "status": "True", "reason": "KubeletReady"}]
        status = {"status": {"capacity": npus, "allocatable": npus, "conditions": conditions}}
        await self._send("PATCH", f"/api/v1/nodes/{name}/status", status, MERGE)

    async def _keep_alive(self) -> None:
        """Renews the nodes' leases, those of lost nodes left out."""
        path = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases"
        while True:
            for node in NODES:
                if node in self.lost:
                    await self._condition(node, "Unknown", "NodeStatusUnknown")
                else:
                    await self._renew(f"{path}/{node}", path, node)
            await self._settle_all()  # what is held may be so no longer
            await asyncio.sleep(LEASE_SECONDS)

    async def _renew(self, lease: str, path: str, node: str) -> None:
        renewed = {"spec": {"holderIdentity": node, "leaseDurationSeconds": 40, "renewTime": _now()}}
        async with self._http.patch(lease, json=renewed, headers=MERGE) as answer:
            missing = answer.status == 404
        if missing:
            new = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": node}}
            await self._send("POST", path, {**new, **renewed})
        await self._ready_again(node)

    async def _ready_again(self, node: str) -> None:
        async with self._http.get(f"/api/v1/nodes/{node}") as answer:
            if answer.status == 404:
                return
            conditions = (await answer.json())["status"].get("conditions") or ()
        if {"True"} != {c["status"] for c in conditions if c["type"] == "Ready"}:
            await self._condition(node, "True", "KubeletReady")

    async def _condition(self, node: str, ready: str, reason: str) -> None:
        status = {"status": {"conditions": [{"type": "Ready", "status": ready, "reason": reason}]}}
        await self._send("PATCH", f"/api/v1/nodes/{node}/status", status, MERGE)


def label(pod: Pod, key: str) -> str:
    """A pod's label; empty where it has none."""
    return str((pod["metadata"].get("labels") or {}).get(key, ""))


def ends(pod: Pod) -> bool:
    """Whether somebody asked for the pod's deletion."""
    return "deletionTimestamp" in pod["metadata"]


def is_ready(pod: Pod) -> bool:
    """Whether the pod's condition says so."""
    conditions = pod.get("status", {}).get("conditions") or ()
    return any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)


def _path(pod: Pod) -> str:
    return f"/api/v1/namespaces/{pod['metadata']['namespace']}/pods/{pod['metadata']['name']}"


def _container(container: dict[str, Any], state: dict[str, Any], ready: bool) -> dict[str, Any]:
    return {
        "name": container["name"], "image": container["image"], "imageID": "", "restartCount": 0, "ready": ready,
        "started": ready, "state": state,
    }  # fmt: skip


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
