"""A cluster of real controllers, one per release of AIBrix that is in the cache."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.conftest import leave_out, missing
from tests.e2e.live import argocd, flux
from tests.e2e.live.aibrix import Release, releases
from tests.e2e.live.cluster import LiveCluster

ARGOCD, FLUX = (*argocd.PROGRAMS, argocd.DEFINITIONS.name), (*flux.PROGRAMS, flux.DEFINITIONS.name)
VOLCANO = ("volcano-controller", "volcano-scheduler", "volcano.yaml")
NEEDED = {
    "test_argocd.py": ARGOCD, "test_argocd_clusters.py": ARGOCD, "test_argocd_layouts.py": ARGOCD,
    "test_argocd_states.py": ARGOCD, "test_argocd_plugin.py": ARGOCD, "test_flux_states.py": FLUX,
    "test_many_apps.py": ARGOCD, "test_flux.py": FLUX, "test_flux_layouts.py": FLUX, "test_pod_groups.py": VOLCANO,
}  # fmt: skip
REAL_PODS = "test_real_proxy.py"
CONTROL_PLANE = ("etcd", "kube-apiserver", "kube-controller-manager", "openssl")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Without their programs these tests are not there; without a network of its own a pod has no address."""
    here = [item for item in items if Path(__file__).parent in item.path.parents]
    aibrix = () if releases() else ("aibrix",)
    lacking = {item: missing((*CONTROL_PLANE, *aibrix, *NEEDED.get(item.path.name, ()))) for item in here}
    if os.environ.get("STORMC_E2E_NETWORK") != "own":
        lacking |= {item: "a network of its own (unshare)" for item in here if item.path.name == REAL_PODS}
    leave_out(config, items, lacking)


@pytest.fixture(scope="session", params=releases(), ids=lambda release: release.label)
def live(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveCluster]:
    """A cluster with one release of AIBrix, whose webhook was called until the end."""
    release: Release = request.param
    cluster = LiveCluster(tmp_path_factory.mktemp(f"aibrix-{release.label}"), release)
    try:
        yield cluster
        called, passed_over = cluster.aibrix.calls()
        assert called > 0 and passed_over == 0, "kube-apiserver went on without AIBrix's webhook"
    finally:
        cluster.close()
