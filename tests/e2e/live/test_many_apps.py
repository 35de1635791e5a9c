"""Many apps in one commit, and a commit that changes one of them: how long until Argo CD has it all in sync, and what
that asks of the API server.

`APPS=200 make e2e` for as many as a large repository has; the figures stand in docs/e2e.md. Argo CD looks for commits
every three minutes, as it does by default, and is told of each as its webhook would be: of new directories, and of the
one app below whose directory something changed.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from tests.e2e.live.aibrix import releases
from tests.e2e.live.argocd import ArgoCD
from tests.e2e.live.cluster import LiveCluster
from tests.e2e.live.commands import kubectl
from tests.e2e.live.control_plane import ControlPlane, eventually
from tests.e2e.live.layouts import LaidOut, Layout
from tests.e2e.summary import record

APPS = int(os.environ.get("APPS") or 8)
MINUTES = 3 + APPS / 2
"""How long it may take, on a machine that others use too."""
POLL_SECONDS = 180
REQUESTS = "apiserver_request_total{"
NAMESPACE, FIRST = "many", "apps/first"
ONE_OF_MANY = Layout("many", {FIRST: NAMESPACE}, frozenset({"apps-first", "shared-many"}))

pytestmark = pytest.mark.parametrize("live", releases()[-1:], indirect=True, ids=lambda release: release.label)


class Many:
    """A repository with one app, which Argo CD syncs."""

    def __init__(self, live: LiveCluster, directory: Path) -> None:
        self.live = live
        self.laid_out = LaidOut(ONE_OF_MANY, "argocd", live, directory)
        self.argocd = ArgoCD(live.plane, poll_seconds=POLL_SECONDS)
        for entry in self.laid_out.entries:
            kubectl(live.plane, ["apply", "--server-side", "-k", str(entry)])
        self.argocd.until_synced("apps-first", self.laid_out.commit)

    def add(self, names: Sequence[str]) -> str:
        """Writes apps like the first; gives the commit."""
        spec = self.laid_out.repository.spec
        text = spec(FIRST).read_text(encoding="utf-8")
        for name in names:
            spec(f"apps/{name}").write_text(text.replace("name: first", f"name: {name}", 1), encoding="utf-8")
        return self.laid_out.repository.commit("Many apps")

    def until_synced(self, names: Sequence[str], commit: str) -> None:
        """Until Argo CD has all of these apps in sync with a commit, and healthy."""

        def synced(name: str) -> bool:
            status = self.argocd.application(f"apps-{name}").get("status", {})
            sync = status.get("sync", {})
            return (sync.get("status"), sync.get("revision"), status.get("health", {}).get("status")) == (
                "Synced", commit, "Healthy",
            )  # fmt: skip

        def all_synced() -> bool:
            self.live.kubelet.check()
            return all(map(synced, names))

        eventually(all_synced, lambda: "\n".join(self.argocd.state(f"apps-{name}") for name in names), MINUTES)

    def close(self, names: Sequence[str]) -> None:
        """Ends Argo CD, then deletes what it synced."""
        self.argocd.stop()
        kubectl(self.live.plane, ["delete", "applicationsets,applications,appprojects", "--all", "-n", "argocd"])
        kubectl(
            self.live.plane, ["delete", "stormservices,services,configmaps", "-n", NAMESPACE, "--all", "--wait=false"]
        )
        eventually(lambda: not self.live.kubelet.pods(NAMESPACE), "pods stay", MINUTES)
        self.laid_out.close()


@pytest.fixture(scope="module")
def many(live: LiveCluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Many]:
    """The repository and its Argo CD."""
    made = Many(live, tmp_path_factory.mktemp("many"))
    try:
        yield made
    finally:
        made.close(NAMES)


NAMES = [f"app-{number}" for number in range(APPS)]


def test_all_apps_of_one_commit_are_synced(many: Many) -> None:
    commit = many.add(NAMES)

    def work() -> None:
        many.argocd.announce(["many-0"])
        many.until_synced(NAMES, commit)

    measured(many, f"{APPS} apps of one commit", work)
    assert all(len(many.live.uids(NAMESPACE, name)) == 3 for name in NAMES)


def test_a_commit_for_one_of_many_apps_changes_one(many: Many) -> None:
    name, others = NAMES[-1], NAMES[:-1]
    before = {each: many.live.uids(NAMESPACE, each) for each in others}
    commit = many.laid_out.repository.edit(f"apps/{name}", lambda text: text + "routing: {replicas: 2}\n")

    def work() -> None:
        many.argocd.refresh(f"apps-{name}", "normal")
        many.until_synced([name], commit)

    measured(many, f"a commit for one of {APPS + 1} apps", work)
    assert len(many.live.uids(NAMESPACE, name)) == 4
    assert {each: many.live.uids(NAMESPACE, each) for each in others} == before


def measured(many: Many, what: str, work: Callable[[], None]) -> None:
    """Does something, and notes how long it took and how many requests the API server answered meanwhile."""
    before, start = requests(many.live.plane), time.monotonic()
    work()
    seconds, calls = time.monotonic() - start, requests(many.live.plane) - before
    record(many.live.release, f"{what}, until Synced and Healthy", f"{seconds:.0f} s, {calls} API requests")


def requests(plane: ControlPlane) -> int:
    """The requests of all programs that the API server has answered."""
    return sum(int(float(line.rpartition(" ")[2])) for line in plane.metrics() if line.startswith(REQUESTS))
