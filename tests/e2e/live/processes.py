"""Pods of an app as processes: the real launcher and proxy, at the addresses that the API server shows for the pods."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from stormc.facts.keys import Label
from stormc.local.cluster import LocalCluster
from stormc.local.pods import Pod, with_npus
from stormc.tree.rendered_app import Manifest
from tests.e2e.live.cluster import LiveCluster
from tests.e2e.live.kubelet import Pod as LivePod
from tests.e2e.live.kubelet import ends, label

POLL_SECONDS = 0.1


class Addresses:
    """Gives a process the address that its pod has; Services keep theirs."""

    def __init__(self, network: Any) -> None:
        self._network = network
        self.next = ""

    def pod(self) -> str:
        """The address of the pod that is started now."""
        return self.next

    def close(self) -> None:
        """Gives the Services' addresses back."""
        self._network.close()


class Processes:
    """Follows the pods of an app in a thread: starts the process of a pod that has an address, ends it with the pod."""

    def __init__(self, live: LiveCluster, manifests: Sequence[Manifest], state: Path) -> None:
        self._live = live
        storm = next(m for m in manifests if m["kind"] == "StormService")
        self._app = (storm["metadata"]["namespace"], storm["metadata"]["name"])
        self._local = LocalCluster(state)
        for manifest in manifests:
            if manifest["kind"] == "Service":
                self._local.addresses[manifest["metadata"]["name"]] = self._local.network.service()
        self._local.manifests = list(manifests)
        self._addresses = Addresses(self._local.network)
        self._local.network = self._addresses  # type: ignore[assignment]
        self._shorts: dict[str, str] = {}
        self._ended = False
        live.kubelet.held = self._waits
        live.kubelet.may_end = self._may_end
        self._thread = threading.Thread(target=lambda: asyncio.run(self._follow()), daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Ends all processes; pods are ready and end by themselves again."""
        self._ended = True
        self._thread.join()
        self._live.kubelet.may_end = lambda pod: True
        self._live.kubelet.release()

    def _waits(self, pod: LivePod) -> bool:
        """Whether a pod's process does not answer its readiness probe yet."""
        if not self._ours(pod):
            return False
        running = self._local.pods.get(self._shorts.get(pod["metadata"]["uid"], ""))
        return running is None or not running.ready

    def _may_end(self, pod: LivePod) -> bool:
        """Whether a pod's process has ended."""
        return pod["metadata"]["uid"] not in self._shorts

    def _ours(self, pod: LivePod) -> bool:
        return (pod["metadata"]["namespace"], label(pod, Label.STORM_SERVICE)) == self._app

    async def _follow(self) -> None:
        while not self._ended:
            there = {pod["metadata"]["uid"]: pod for pod in self._live.kubelet.all_pods() if self._ours(pod)}
            for uid, pod in there.items():
                address = pod["status"].get("podIP")
                if uid not in self._shorts and address and not ends(pod):
                    played = as_played(pod)
                    self._shorts[uid], self._addresses.next = played.short, address
                    self._local._create(played)
                    await self._local._update_services()
            gone = [uid for uid in self._shorts if uid not in there or ends(there[uid])]
            await asyncio.gather(*(self._end(uid) for uid in gone))
            await asyncio.sleep(POLL_SECONDS)
        await self._local.close()

    async def _end(self, uid: str) -> None:
        """Ends a pod's process as a kubelet does, within the grace period; then its name is free."""
        running = self._local.pods[self._shorts[uid]]
        await self._local._delete(running)
        del self._shorts[uid]


def as_played(pod: LivePod) -> Pod:
    """A pod of the API server as run-local runs it: all that AIBrix injects stands in it already."""
    labels, spec = pod["metadata"]["labels"], pod["spec"]
    member = labels.get(Label.POD_GROUP_INDEX)
    short = f"{labels[Label.ROLE]}-{labels[Label.ROLE_REPLICA]}" + (f"-{member}" if member is not None else "")
    annotations = with_npus(pod["metadata"].get("annotations") or {}, spec)
    return Pod(
        short, pod["metadata"]["name"], labels[Label.ROLE], pod["metadata"]["namespace"], labels, annotations, (), (),
        spec["subdomain"], spec, False,
    )  # fmt: skip
