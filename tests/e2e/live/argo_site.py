"""The examples in a repository of their own, synced by Argo CD."""

from __future__ import annotations

from pathlib import Path

from tests.e2e.live.argocd import ArgoCD
from tests.e2e.live.cluster import LiveCluster
from tests.e2e.live.commands import kubectl
from tests.e2e.live.site import APPS, SHARED, Site, documented

ENTRY = "inference-wiring"


class ArgoSite(Site):
    """The examples, synced by Argo CD."""

    def __init__(self, live: LiveCluster, directory: Path) -> None:
        super().__init__(live, directory)
        self.argocd = ArgoCD(live.plane)
        kubectl(live.plane, documented("(apply .*_gitops/argocd)"), self.repository.directory)

    def close(self) -> None:
        """Ends Argo CD, then deletes what it synced."""
        self.argocd.stop()
        kubectl(self.live.plane, ["delete", "applicationsets,applications,appprojects", "--all", "-n", "argocd"])
        super().close()

    def until_all_synced(self) -> None:
        """Until every Application is at the last commit, and its app ready."""
        for name in (ENTRY, *SHARED, *APPS):
            self.argocd.until_synced(name, self.repository.head())
