"""One Argo CD and two clusters: each directory of a repository goes to its own, and its project lets it nowhere else.

The clusters are one API server under two addresses, with a namespace each; Argo CD knows them as two.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml

from tests.e2e.live.aibrix import releases
from tests.e2e.live.argocd import SECRET, ArgoCD
from tests.e2e.live.cluster import LiveCluster
from tests.e2e.live.commands import kubectl
from tests.e2e.live.control_plane import ADMIN, ControlPlane, eventually
from tests.e2e.live.repository import Repository
from tests.e2e.live.site import ROOT

NAMESPACE = "argocd-clusters"
CLUSTERS = ("eu", "us")

pytestmark = pytest.mark.parametrize("live", releases()[-1:], indirect=True, ids=lambda release: release.label)


class TwoClusters:
    """A repository with an app of one name for each of two clusters, and the Argo CD that deploys to both."""

    def __init__(self, live: LiveCluster, directory: Path) -> None:
        self.live = live
        self.servers = dict(zip(CLUSTERS, addresses(live.plane), strict=True))
        self.repository = Repository(directory, live.plane.address)
        for name, server in self.servers.items():
            live.namespace(name)
            self._write(name, server)
        self.repository.commit("An app for each cluster")
        self.argocd = ArgoCD(live.plane, NAMESPACE)
        for name, server in self.servers.items():
            live.cluster.apply(SECRET, NAMESPACE, registration(live.plane, name, server), dry_run=False, force=True)
            wiring = self.repository.directory / f"rendered/{name}/_gitops/argocd"
            kubectl(live.plane, ["apply", "--server-side", "--force-conflicts", "-k", str(wiring)])

    def close(self) -> None:
        """Ends Argo CD, then deletes what it synced."""
        self.argocd.stop()
        self.repository.close()
        for name in CLUSTERS:
            self.live.remove(name, "chat")

    def until_synced(self, name: str) -> None:
        """Until all Applications of a cluster are at the last commit."""
        for application in (f"{name}-wiring", f"{name}-shared-{name}", f"{name}-chat"):
            self.argocd.until_synced(application, self.repository.head())

    def _write(self, name: str, server: str) -> None:
        spec = yaml.safe_load((ROOT / "specs/a3/my-test.yaml").read_text(encoding="utf-8"))
        engine = {
            "repoURL": self.repository.url, "namespace": NAMESPACE, "server": server, "project": name,
            "destinations": [name],
        }  # fmt: skip
        platform = {"apiVersion": "stormc.dev/v1", "kind": "Platform", "gitops": {"argocd": engine}}
        files = {"chat": spec | {"name": "chat", "namespace": name}, "platform": platform}
        for file, content in files.items():
            path = self.repository.spec(f"{name}/{file}")
            path.parent.mkdir(exist_ok=True)
            path.write_text(yaml.safe_dump(content), encoding="utf-8")


def addresses(plane: ControlPlane) -> tuple[str, str]:
    """The two addresses of the API server."""
    return plane.url, f"https://127.0.0.1:{urlsplit(plane.url).port}"


def registration(plane: ControlPlane, name: str, server: str) -> dict[str, Any]:
    """The Secret with which Argo CD knows a cluster."""
    authority = base64.b64encode(plane.authority.read_bytes()).decode()
    config = {"bearerToken": ADMIN, "tlsClientConfig": {"caData": authority}}
    labels = {"argocd.argoproj.io/secret-type": "cluster"}
    return {
        "apiVersion": "v1", "kind": "Secret",
        "metadata": {"name": f"cluster-{name}", "namespace": NAMESPACE, "labels": labels},
        "stringData": {"name": name, "server": server, "config": json.dumps(config)},
    }  # fmt: skip


@pytest.fixture(scope="module")
def clusters(live: LiveCluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TwoClusters]:
    """Both clusters, synced with what stormc rendered."""
    made = TwoClusters(live, tmp_path_factory.mktemp("clusters"))
    try:
        yield made
    finally:
        made.close()


def test_each_directory_goes_to_its_own_cluster(clusters: TwoClusters) -> None:
    for name, server in clusters.servers.items():
        clusters.until_synced(name)
        clusters.live.until_ready(name, "chat")
        for application in (f"{name}-shared-{name}", f"{name}-chat"):
            spec = clusters.argocd.application(application)["spec"]
            assert (spec["project"], spec["destination"]["server"]) == (name, server)


def test_a_commit_for_one_cluster_leaves_the_other_alone(clusters: TwoClusters) -> None:
    clusters.until_synced("us")
    pods = {name: clusters.live.uids(name, "chat", "routing") for name in CLUSTERS}
    clusters.repository.edit("eu/chat", lambda text: f"{text}proxy: {{drainSeconds: 90}}\n")
    for name in CLUSTERS:
        clusters.until_synced(name)
    eventually(
        lambda: not pods["eu"] & clusters.live.uids("eu", "chat", "routing"), "the routing pod of eu is the old one"
    )
    clusters.live.until_ready("eu", "chat")
    assert clusters.live.uids("us", "chat", "routing") == pods["us"]


def test_a_project_refuses_the_other_cluster(clusters: TwoClusters) -> None:
    """An Application that somebody writes by hand: its project knows only the cluster of its directory."""
    clusters.until_synced("eu")
    source = {"repoURL": clusters.repository.url, "path": "rendered/eu/chat", "targetRevision": "main"}
    destination = {"server": clusters.servers["us"], "namespace": "us"}
    stray = {
        "apiVersion": "argoproj.io/v1alpha1", "kind": "Application",
        "metadata": {"name": "stray", "namespace": NAMESPACE},
        "spec": {"project": "eu", "source": source, "destination": destination},
    }  # fmt: skip
    clusters.live.plane.request("POST", f"/apis/argoproj.io/v1alpha1/namespaces/{NAMESPACE}/applications", stray)

    def refused() -> bool:
        conditions = clusters.argocd.application("stray").get("status", {}).get("conditions", ())
        return any("do not match any of the allowed destinations in project 'eu'" in c["message"] for c in conditions)

    eventually(refused, lambda: clusters.argocd.state("stray"))
