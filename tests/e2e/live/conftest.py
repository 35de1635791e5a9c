"""A cluster of real controllers, one per release of AIBrix that is in the cache."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.conftest import binary
from tests.e2e.live.aibrix import Release, releases
from tests.e2e.live.cluster import LiveCluster
from tests.e2e.live.summary import FIGURES

NEEDED = {"test_pod_groups.py": ("volcano-controller",)}
CONTROL_PLANE = ("etcd", "kube-apiserver", "kube-controller-manager", "openssl")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Without the programs these tests are not there: deselected, and the summary counts them."""
    here = [item for item in items if Path(__file__).parent in item.path.parents]
    if releases() and None not in map(binary, CONTROL_PLANE):
        here = [item for item in here if None in map(binary, NEEDED.get(item.path.name, ()))]
    if here:
        items[:] = [item for item in items if item not in here]
        config.hook.pytest_deselected(items=here)


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


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """The figures of this run."""
    for line in FIGURES:
        terminalreporter.write_line(line)
