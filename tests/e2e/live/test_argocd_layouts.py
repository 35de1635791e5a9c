"""Argo CD syncs every layout of a repository that stormc can wire, with what stormc renders for it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

import pytest

from tests.e2e.live.aibrix import releases
from tests.e2e.live.argocd import SECRET, ArgoCD
from tests.e2e.live.cluster import LiveCluster
from tests.e2e.live.commands import kubectl
from tests.e2e.live.layouts import LAYOUTS, LaidOut

pytestmark = pytest.mark.parametrize("live", releases()[-1:], indirect=True, ids=lambda release: release.label)


class Engine(NamedTuple):
    """Argo CD, and the layouts by name that it syncs."""

    argocd: ArgoCD
    layouts: Mapping[str, LaidOut]


@pytest.fixture(scope="module")
def engine(live: LiveCluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """One Argo CD to which all layouts are applied, one after the other; it syncs them side by side."""
    argocd, made = ArgoCD(live.plane), {}
    try:
        for layout in LAYOUTS:
            directory = tmp_path_factory.mktemp(layout.name)
            made[layout.name] = each = LaidOut(layout, "argocd", live, directory)
            if layout.password:
                register(argocd, each)
            for entry in each.entries:
                kubectl(live.plane, ["apply", "--server-side", "-k", str(entry)])
        yield Engine(argocd, made)
    finally:
        argocd.stop()
        kubectl(live.plane, ["delete", "applicationsets,applications,appprojects", "--all", "-n", argocd.namespace])
        for each in made.values():
            each.close()


def register(argocd: ArgoCD, laid_out: LaidOut) -> None:
    """Tells Argo CD the repository's credentials."""
    labels = {"argocd.argoproj.io/secret-type": "repository"}
    secret = {
        "apiVersion": "v1", "kind": SECRET.name,
        "metadata": {"name": laid_out.layout.name, "namespace": argocd.namespace, "labels": labels},
        "stringData": {"url": laid_out.repository.url, "username": "git", "password": laid_out.layout.password},
    }  # fmt: skip
    argocd.plane.cluster.apply(SECRET, argocd.namespace, secret, dry_run=False, force=False)


@pytest.mark.parametrize("name", [layout.name for layout in LAYOUTS])
def test_every_app_becomes_synced_and_nothing_else(engine: Engine, name: str) -> None:
    argocd, each = engine.argocd, engine.layouts[name]
    expected = each.layout.units | {f"{name}-{number}-wiring" for number in range(len(each.layout.directories))}
    for application in sorted(expected):
        argocd.until_synced(application, each.commit)
    there = [a["metadata"]["name"] for a in argocd.applications.live() if source(a)["repoURL"] == each.repository.url]
    assert set(there) == expected and len(there) == len(expected)
    each.until_ready()


def source(application: dict[str, dict[str, dict[str, str]]]) -> dict[str, str]:
    """Where an Application gets its manifests."""
    return application["spec"]["source"]
