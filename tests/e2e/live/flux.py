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


class Flux:
    """Source-controller and kustomize-controller, with the settings that docs/gitops.md asks for."""

    def __init__(self, plane: ControlPlane, namespace: str = "flux-system") -> None:
        self.plane, self.namespace = plane, namespace
        self._requests = 0
        self._install()
        files, *ports = free_ports(5)
        storage = plane.directory / "flux"
        storage.mkdir(exist_ok=True)
        address = f"127.0.0.1:{files}"
        self._start("flux-source-controller", f"--storage-path={storage}", f"--storage-addr={address}",
                    f"--storage-adv-addr={address}", f"--metrics-addr=127.0.0.1:{ports[0]}",
                    f"--health-addr=127.0.0.1:{ports[1]}")  # fmt: skip
        self._start("flux-kustomize-controller", f"--metrics-addr=127.0.0.1:{ports[2]}", "--requeue-dependency=5s",
                    f"--health-addr=127.0.0.1:{ports[3]}", f"--feature-gates={GATE}=true")  # fmt: skip
        self.kustomizations = Watch(plane, KUSTOMIZATION.path(None))

    def stop(self) -> None:
        """Ends its controllers and takes its objects away; what these have applied stays."""
        self.kustomizations.close()
        for name in PROGRAMS[:2]:
            self.plane.stop(name)
        for kind in (KUSTOMIZATION, REPOSITORY):
            for live in self.plane.cluster.find(kind, None) or ():
                path = kind.path(live["metadata"]["namespace"], live["metadata"]["name"])
                change = {"metadata": {"finalizers": None}}
                self.plane.request("PATCH", path, change, "application/merge-patch+json")
                self.plane.request("DELETE", path)

    def kustomization(self, name: str, namespace: str = "") -> Manifest:
        """A Kustomization as it is now, of Flux's own namespace if no other is given; empty while it is not there."""
        return self.kustomizations.find(namespace or self.namespace, name) or {}

    def ready(self, name: str) -> tuple[str, str, str]:
        """Status, reason and message of its condition Ready."""
        return condition(self.kustomization(name), "Ready")

    def until_ready(self, name: str, commit: str, namespace: str = "") -> None:
        """Until a Kustomization is ready at a commit."""

        def reached() -> bool:
            live = self.kustomization(name, namespace)
            return condition(live, "Ready")[0] == "True" and revision(live, "lastAppliedRevision") == commit

        eventually(reached, lambda: f"{name}: {self.kustomization(name, namespace).get('status')}")

    def applied(self, name: str) -> str:
        """The commit that a Kustomization applied last and found healthy."""
        return revision(self.kustomization(name), "lastAppliedRevision")

    def attempted(self, name: str) -> str:
        """The commit that a Kustomization applied last."""
        return revision(self.kustomization(name), "lastAttemptedRevision")

    def pull(self, name: str, commit: str) -> None:
        """Has Flux look for commits, as `flux reconcile source git` does."""
        self.request(REPOSITORY, name)

        def fetched() -> bool:
            live = self.plane.cluster.get(REPOSITORY, self.namespace, name) or {}
            return str(live.get("status", {}).get("artifact", {}).get("revision", "")).endswith(commit)

        eventually(fetched, f"Flux does not fetch {commit}")

    def reconcile(self, name: str) -> None:
        """Has a Kustomization reconciled once more, as `flux reconcile kustomization` does."""
        request = self.request(KUSTOMIZATION, name)
        eventually(
            lambda: self.kustomization(name)["status"].get("lastHandledReconcileAt") == request,
            f"{name}: not reconciled",
        )

    def request(self, kind: Kind, name: str) -> str:
        """Asks for a reconciliation, as the commands of Flux do; gives the name of the request."""
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


def revision(live: Manifest, field: str) -> str:
    """The commit in a field of a Kustomization's status."""
    return str(live.get("status", {}).get(field, "")).rpartition(":")[2]


def condition(live: Manifest, kind: str) -> tuple[str, str, str]:
    """Status, reason and message of a condition; empty texts where it is not there."""
    for each in live.get("status", {}).get("conditions", ()):
        if each["type"] == kind:
            return each["status"], each["reason"], each["message"]
    return "", "", ""
