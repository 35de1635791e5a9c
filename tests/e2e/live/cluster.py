"""What tests do with a live cluster: namespaces, apps applied and waited for, and what came of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import count
from pathlib import Path
from typing import Any

from stormc.cluster.apply import apply, ensure_namespace
from stormc.cluster.kinds import POD, POD_SET, ROLE_SET, STORM_SERVICE, STORM_SERVICE_NAME, Kind
from stormc.cluster.owner import owned, unneeded_shared
from stormc.cluster.removal import remove
from stormc.cluster.wait import unready
from tests.e2e.live.aibrix import AIBrix, Release
from tests.e2e.live.control_plane import ControlPlane, eventually
from tests.e2e.live.kubelet import Kubelet, is_ready

Manifest = Mapping[str, Any]
SERVICE_ACCOUNT = Kind("ServiceAccount", "v1", "serviceaccounts")
SLICE = Kind("EndpointSlice", "discovery.k8s.io/v1", "endpointslices")


class LiveCluster:
    """A control plane, AIBrix and kubelets."""

    def __init__(self, directory: Path, release: Release) -> None:
        self.plane = ControlPlane(directory)
        try:
            self.aibrix = AIBrix(self.plane)
            self.aibrix.run(release)
            self.kubelet = Kubelet(self.plane)
        except BaseException:
            self.plane.close()
            raise
        self.release = release
        self.cluster = self.plane.cluster
        self._numbers = count()

    def close(self) -> None:
        """Ends everything."""
        self.kubelet.close()
        self.plane.close()

    def namespace(self, name: str = "") -> str:
        """A namespace in which pods can be made; a new one where no name is given."""
        name = name or f"test-{next(self._numbers)}"
        ensure_namespace(self.cluster, name, dry_run=False)
        eventually(lambda: self.cluster.get(SERVICE_ACCOUNT, name, "default"), f"no ServiceAccount in {name}")
        return name

    def apply(self, manifests: Sequence[Manifest], namespace: str = "") -> None:
        """Applies as `stormc deploy` does, in the manifests' own namespace or in the one given."""
        namespace = namespace or manifests[0]["metadata"]["namespace"]
        list(apply(self.cluster, namespace, manifests, dry_run=False, force=True))

    def problem(self, namespace: str, app: str) -> str:
        """Why an app is not ready, as `stormc status` and `stormc wait` say it; empty when it is."""
        role_sets = self.cluster.find(ROLE_SET, namespace, {STORM_SERVICE_NAME: app}) or []
        return unready(self.cluster.get(STORM_SERVICE, namespace, app), role_sets)

    def until_ready(self, namespace: str, app: str) -> None:
        """Until the app is ready: its status says so, and so do all of its pods."""

        def ready() -> bool:
            self.kubelet.check()
            return not self.problem(namespace, app) and all(map(is_ready, self.kubelet.pods(namespace, app)))

        eventually(ready, lambda: f"{namespace}/{app}: {self.problem(namespace, app)}")

    @property
    def platform_release(self) -> str:
        """What the platform file says."""
        return self.release.known

    def remove(self, namespace: str, app: str) -> None:
        """Takes an app off the cluster as `stormc delete` does, and waits until nothing of it is left."""
        found = owned(self.cluster, namespace, app)
        shared = unneeded_shared(self.cluster, namespace, app) if found else []
        remove(self.cluster, namespace, [*shared, *found], lambda line: None)
        labels = {STORM_SERVICE_NAME: app}

        def gone() -> bool:
            left = [m for kind in (ROLE_SET, POD_SET, POD) for m in self.cluster.find(kind, namespace, labels) or ()]
            return not left and self.cluster.get(STORM_SERVICE, namespace, app) is None

        eventually(gone, f"{namespace}/{app} is not gone")

    def endpoints(self, namespace: str, service: str) -> set[str]:
        """The addresses of the ready pods that a Service leads to."""
        found = self.cluster.find(SLICE, namespace, {"kubernetes.io/service-name": service}) or ()
        return {
            address
            for each in found
            for endpoint in each.get("endpoints") or ()
            if endpoint["conditions"].get("ready")
            for address in endpoint["addresses"]
        }

    def uids(self, namespace: str, app: str, role: str = "") -> set[str]:
        """The pods that are there."""
        return {pod["metadata"]["uid"] for pod in self.kubelet.pods(namespace, app, role)}
