"""Many apps in one commit: how long until Argo CD has all of them in sync, and what that asks of the API server.

`APPS=200 make e2e` for as many as a large repository has; the figures stand in docs/e2e.md.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from tests.e2e.live.aibrix import releases
from tests.e2e.live.argo_site import ArgoSite
from tests.e2e.live.argocd import available
from tests.e2e.live.cluster import LiveCluster
from tests.e2e.live.control_plane import ControlPlane, eventually
from tests.e2e.live.summary import record

APPS = int(os.environ.get("APPS") or 8)
MINUTES = 3 + APPS / 2
"""How long it may take, on a machine that others use too."""
REQUESTS = "apiserver_request_total{"

pytestmark = [
    pytest.mark.skipif(not available(), reason="make e2e-tools builds Argo CD"),
    pytest.mark.parametrize("live", releases()[-1:], indirect=True, ids=lambda release: release.label),
]


def test_all_apps_of_one_commit_are_synced(live: LiveCluster, tmp_path: Path) -> None:
    site = ArgoSite(live, tmp_path)
    try:
        site.until_all_synced()
        text = site.repository.spec("a3/my-test").read_text(encoding="utf-8")
        names = [f"many-{number}" for number in range(APPS)]
        for name in names:
            path = site.repository.spec(f"a3/{name}")
            path.write_text(text.replace("name: my-test", f"name: {name}", 1), encoding="utf-8")
        before, start = requests(live.plane), time.monotonic()
        commit = site.repository.commit("Many apps")

        def synced() -> bool:
            live.kubelet.check()
            statuses = [site.argocd.application(f"a3-{name}").get("status", {}) for name in names]
            return all(
                (status.get("sync", {}).get("status"), status.get("sync", {}).get("revision")) == ("Synced", commit)
                and status.get("health", {}).get("status") == "Healthy"
                for status in statuses
            )

        eventually(synced, lambda: "\n".join(site.argocd.state(f"a3-{name}") for name in names), MINUTES)
        seconds, calls = time.monotonic() - start, requests(live.plane) - before
        record(live.release, "Argo CD", f"{APPS} apps from commit to Synced: {seconds:.0f} s, {calls} API requests")
        assert all(len(live.uids("default", name)) == 4 for name in names)
    finally:
        site.close()


def requests(plane: ControlPlane) -> int:
    """The requests of all programs that the API server has answered."""
    return sum(int(float(line.rpartition(" ")[2])) for line in plane.metrics() if line.startswith(REQUESTS))
