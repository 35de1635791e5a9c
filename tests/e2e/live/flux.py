"""Flux's two controllers that sync a repository, as its manifests install them."""

from __future__ import annotations

import yaml

from stormc.cluster.apply import ensure_namespace
from stormc.cluster.kinds import CRD, Kind
from tests.e2e.conftest import CACHE, binary, free_ports
from tests.e2e.live.control_plane import ControlPlane, eventually
from tests.e2e.live.watch import Manifest, Watch

KUSTOMIZATION = Kind("Kustomization", "kustomize.toolkit.fluxcd.io/v1", "kustomizations")
REPOSITORY = Kind("GitRepository", "source.toolkit.fluxcd.io/v1", "gitrepositories")
PROGRAMS = ("flux-source-controller", "flux-kustomize-controller", "git", "kubectl")
DEFINITIONS = CACHE / "flux.yaml"
REQUEST = "reconcile.fluxcd.io/requestedAt"
GATE = "CancelHealthCheckOnNewRevision"


def available() -> bool:
    """Whether Flux can be started."""
    return None not in map(binary, PROGRAMS) and DEFINITIONS.exists()


class Flux:
    """Source-controller and kustomize-controller, with the settings that docs/gitops.md asks for."""

    def __init__(self, plane: ControlPlane, namespace: str = "flux-system") -> None:
        self.plane, self.namespace = plane, namespace
        self._requests = 0
        self._install()
        files, *ports = free_ports(5)
        storage = plane.directory / "flux"
        storage.mkdir()
        address = f"127.0.0.1:{files}"
        self._start("flux-source-controller", f"--storage-path={storage}", f"--storage-addr={address}",
                    f"--storage-adv-addr={address}", f"--metrics-addr=127.0.0.1:{ports[0]}",
                    f"--health-addr=127.0.0.1:{ports[1]}")  # fmt: skip
        self._start("flux-kustomize-controller", f"--metrics-addr=127.0.0.1:{ports[2]}", "--requeue-dependency=5s",
                    f"--health-addr=127.0.0.1:{ports[3]}", f"--feature-gates={GATE}=true")  # fmt: skip
        self.kustomizations = Watch(plane, KUSTOMIZATION.path(namespace))

    def stop(self) -> None:
        """Ends its controllers; their objects stay."""
        self.kustomizations.close()
        for name in PROGRAMS[:2]:
            self.plane.stop(name)

    def kustomization(self, name: str) -> Manifest:
        """A Kustomization as it is now; empty while it is not there."""
        return self.kustomizations.find(self.namespace, name) or {}

    def ready(self, name: str) -> tuple[str, str, str]:
        """Status, reason and message of its condition Ready."""
        return condition(self.kustomization(name), "Ready")

    def until_ready(self, name: str, commit: str) -> None:
        """Until a Kustomization is ready at a commit."""
        eventually(
            lambda: self.ready(name)[0] == "True" and self.applied(name) == commit,
            lambda: f"{name}: {self.kustomization(name).get('status')}",
        )

    def applied(self, name: str) -> str:
        """The commit that a Kustomization applied last and found healthy."""
        return str(self.kustomization(name).get("status", {}).get("lastAppliedRevision", "")).rpartition(":")[2]

    def attempted(self, name: str) -> str:
        """The commit that a Kustomization applied last."""
        return str(self.kustomization(name).get("status", {}).get("lastAttemptedRevision", "")).rpartition(":")[2]

    def pull(self, name: str, commit: str) -> None:
        """Has Flux look for commits, as `flux reconcile source git` does."""
        self._request(REPOSITORY, name)

        def fetched() -> bool:
            live = self.plane.cluster.get(REPOSITORY, self.namespace, name) or {}
            return str(live.get("status", {}).get("artifact", {}).get("revision", "")).endswith(commit)

        eventually(fetched, f"Flux does not fetch {commit}")

    def reconcile(self, name: str) -> None:
        """Has a Kustomization reconciled once more, as `flux reconcile kustomization` does."""
        request = self._request(KUSTOMIZATION, name)
        eventually(
            lambda: self.kustomization(name)["status"].get("lastHandledReconcileAt") == request,
            f"{name}: not reconciled",
        )

    def _request(self, kind: Kind, name: str) -> str:
        self._requests += 1
        request = f"request-{self._requests}"
        change = {"metadata": {"annotations": {REQUEST: request}}}
        self.plane.request("PATCH", kind.path(self.namespace, name), change, "application/merge-patch+json")
        return request

    def _start(self, name: str, *flags: str) -> None:
        program = binary(name)
        assert program
        environment = (f"KUBECONFIG={self.plane.kubeconfig}", f"RUNTIME_NAMESPACE={self.namespace}")
        self.plane.start(name, ("env", *environment, program, *flags))

    def _install(self) -> None:
        cluster = self.plane.cluster
        for manifest in yaml.safe_load_all(DEFINITIONS.read_text(encoding="utf-8")):
            if manifest:
                cluster.apply(CRD, None, manifest, dry_run=False, force=True)
        self.plane.until(
            lambda: None not in (cluster.find(KUSTOMIZATION, "default"), cluster.find(REPOSITORY, "default")),
            "the API server does not serve Flux's kinds",
        )
        ensure_namespace(cluster, self.namespace, dry_run=False)


def condition(live: Manifest, kind: str) -> tuple[str, str, str]:
    """Status, reason and message of a condition; empty texts where it is not there."""
    for each in live.get("status", {}).get("conditions", ()):
        if each["type"] == kind:
            return each["status"], each["reason"], each["message"]
    return "", "", ""
