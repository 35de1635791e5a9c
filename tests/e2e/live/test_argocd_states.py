"""What Argo CD itself shows of a service in every state: the Argo CD columns of docs/gitops.md, cell by cell."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from stormc.cluster.kinds import CONFIG_MAP, ROLE_SET, SERVICE, STORM_SERVICE
from stormc.facts.keys import Annotation
from tests.e2e.live.aibrix import releases
from tests.e2e.live.argocd import APPLICATION, ArgoCD
from tests.e2e.live.cluster import LiveCluster
from tests.e2e.live.commands import kubectl
from tests.e2e.live.control_plane import eventually
from tests.e2e.live.layouts import LaidOut, Layout
from tests.e2e.live.quota import no_npus

NAMESPACE, UNIT, APP = "argo-states", "apps-chat", "chat"
LAYOUT = Layout("argo-states", {"apps/chat": NAMESPACE}, frozenset())
FIRST, SECOND = "vllm-ascend:v0.12.0rc1", "vllm-ascend:v0.13.0"
SETS = ("argo-states-0",)
FINALIZER = "resources-finalizer.argocd.argoproj.io"

pytestmark = pytest.mark.parametrize("live", releases()[-1:], indirect=True, ids=lambda release: release.label)


class Shown:
    """An app of three pods that Argo CD syncs, and what it shows of it."""

    def __init__(self, live: LiveCluster, directory: Path) -> None:
        self.live = live
        self.laid_out = LaidOut(LAYOUT, "argocd", live, directory)
        self.repository = self.laid_out.repository
        self.argocd = ArgoCD(live.plane)
        for entry in self.laid_out.entries:
            kubectl(live.plane, ["apply", "--server-side", "-k", str(entry)])

    def close(self) -> None:
        """Ends Argo CD, then deletes what it synced."""
        self.live.kubelet.release()
        self.argocd.stop()
        if self.live.cluster.get(APPLICATION, "argocd", UNIT):
            self.argocd.patch(UNIT, {"metadata": {"finalizers": None}})
        kubectl(self.live.plane, ["delete", "applicationsets,applications,appprojects", "--all", "-n", "argocd"])
        self.laid_out.close()

    def service(self, unit: str = UNIT, app: str = APP) -> tuple[str, str, str, str]:
        """Sync and health of the Application, health and message of the StormService in its tree."""
        status = self.argocd.application(unit).get("status", {})
        node = self.argocd.tree(unit).get(("StormService", app), ("", ""))
        return status.get("sync", {}).get("status", ""), status.get("health", {}).get("status", ""), *node

    def role_set(self, unit: str = UNIT) -> tuple[str, str]:
        """Health and message of the RoleSet in the tree of an Application."""
        found = [shown for (kind, _), shown in self.argocd.tree(unit).items() if kind == ROLE_SET.name]
        return found[0] if found else ("", "")

    def until(self, health: str, message: str, unit: str = UNIT, app: str = APP) -> None:
        """Until the Application is in sync and it and its StormService have this health."""
        want = ("Synced", health, health, message)
        eventually(lambda: self.service(unit, app) == want, lambda: f"{self.service(unit, app)}, not {want}")

    def edit(self, old: str, new: str) -> None:
        """Commits a change of the app's spec, and waits until it is applied."""
        commit = self.repository.edit("apps/chat", lambda text: text.replace(old, new, 1))

        def applied() -> bool:
            status = self.argocd.application(UNIT).get("status", {})
            operation = status.get("operationState", {})
            return (status.get("sync", {}).get("revision"), operation.get("phase")) == (commit, "Succeeded")

        eventually(applied, lambda: self.argocd.state(UNIT))

    def pause(self, paused: bool) -> None:
        """Sets the field as a person does, with kubectl."""
        change = f'--patch={{"spec": {{"paused": {str(paused).lower()}}}}}'
        kubectl(self.live.plane, ["patch", "stormservice", "-n", NAMESPACE, APP, "--type=merge", change])


@pytest.fixture(scope="module")
def shown(live: LiveCluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shown]:
    """The app, whose pods load until the first test lets them be ready."""
    live.kubelet.held = lambda pod: pod["metadata"]["namespace"] == NAMESPACE
    made = Shown(live, tmp_path_factory.mktemp("states"))
    try:
        yield made
    finally:
        made.close()


def test_pods_that_load_and_pods_that_are_ready(shown: Shown) -> None:
    shown.until("Progressing", "0 of 1 RoleSets ready")
    eventually(lambda: shown.role_set() == ("Progressing", "not all roles are ready"), lambda: str(shown.role_set()))
    shown.live.kubelet.release()
    shown.until("Healthy", "1 of 1 RoleSets ready")
    eventually(lambda: shown.role_set() == ("Healthy", "all roles are ready"), lambda: str(shown.role_set()))


def test_an_update_under_way(shown: Shown) -> None:
    shown.live.kubelet.held = lambda pod: SECOND in pod["spec"]["containers"][0]["image"]
    shown.edit(f"image: {FIRST}", f"image: {SECOND}")
    shown.until("Progressing", "0 of 1 RoleSets ready")
    shown.live.kubelet.release()
    shown.until("Healthy", "1 of 1 RoleSets ready")


def test_an_update_of_a_paused_service(shown: Shown) -> None:
    pods = shown.live.uids(NAMESPACE, APP)
    shown.pause(True)
    shown.edit(f"image: {SECOND}", f"image: {FIRST}")
    shown.until("Suspended", "paused during an update, 1 of 1 RoleSets ready")
    assert shown.live.uids(NAMESPACE, APP) == pods
    shown.pause(False)
    shown.until("Healthy", "1 of 1 RoleSets ready")
    assert not pods & shown.live.uids(NAMESPACE, APP)


def test_fewer_replicas_take_the_services_of_their_pods_along(shown: Shown) -> None:
    def services() -> set[str]:
        found = shown.live.cluster.find(SERVICE, NAMESPACE, {"app.kubernetes.io/managed-by": "stormc"}) or ()
        return {service["metadata"]["name"] for service in found if "-decode-" in service["metadata"]["name"]}

    shown.edit("decode:\n", "decode:\n  replicas: 2\n")
    eventually(lambda: services() == {"chat-decode-0", "chat-decode-1"}, lambda: str(services()))
    shown.until("Healthy", "1 of 1 RoleSets ready")
    shown.edit("decode:\n  replicas: 2\n", "decode:\n")
    eventually(lambda: services() == {"chat-decode-0"}, lambda: str(services()))
    shown.until("Healthy", "1 of 1 RoleSets ready")


def test_a_quota_shows_on_the_role_set(shown: Shown) -> None:
    no_npus(shown.live, NAMESPACE)
    text = shown.repository.spec("apps/chat").read_text().replace("name: chat", "name: refused", 1)
    shown.repository.add("apps/refused", text)
    shown.until("Progressing", "0 of 1 RoleSets ready", "apps-refused", "refused")
    eventually(lambda: shown.role_set("apps-refused")[0] == "Degraded", lambda: str(shown.role_set("apps-refused")))
    assert "exceeded quota" in shown.role_set("apps-refused")[1]


def delete_with_resources(shown: Shown) -> str:
    """What `argocd app delete --cascade` does; gives the UID of the Application."""
    uid = str(shown.argocd.application(UNIT)["metadata"]["uid"])
    shown.argocd.patch(UNIT, {"metadata": {"finalizers": [FINALIZER]}})
    shown.live.plane.request("DELETE", APPLICATION.path("argocd", UNIT))
    return uid


def objects(shown: Shown) -> set[str]:
    """The app's own objects that are there, and its pods."""
    labels = {"app.kubernetes.io/managed-by": "stormc", "app.kubernetes.io/part-of": APP}
    found = [
        m
        for kind in (STORM_SERVICE, SERVICE, CONFIG_MAP)
        for m in shown.live.cluster.find(kind, NAMESPACE, labels) or ()
    ]
    return {m["metadata"]["uid"] for m in found} | shown.live.uids(NAMESPACE, APP)


def test_an_application_that_is_deleted_with_its_resources_comes_back_and_deletes_nothing(shown: Shown) -> None:
    """Its ApplicationSet takes the finalizer away, which is not in its template, and makes it anew."""
    before = objects(shown)
    uid = delete_with_resources(shown)

    def back() -> bool:
        metadata = shown.argocd.application(UNIT).get("metadata", {"uid": uid})
        return metadata["uid"] != uid and "deletionTimestamp" not in metadata

    eventually(back, lambda: str(shown.argocd.application(UNIT)))
    shown.until("Healthy", "1 of 1 RoleSets ready")
    assert len(before) > 6 and objects(shown) == before


def test_without_its_application_set_nothing_is_deleted_before_somebody_confirms_it(shown: Shown) -> None:
    shown.live.plane.stop("argocd-applicationset-controller")
    asks = f"Resource {{orchestration.aibrix.ai StormService {NAMESPACE} {APP}}} requires manual confirmation to delete"

    def asked_for() -> int:
        return shown.live.plane.log("argocd-application-controller").read_text(encoding="utf-8").count(asks)

    before, earlier = objects(shown), asked_for()
    delete_with_resources(shown)
    eventually(lambda: asked_for() > earlier, "Argo CD does not ask")
    assert objects(shown) == before
    asked = datetime.now(UTC)
    eventually(lambda: datetime.now(UTC) > asked + timedelta(seconds=1), "the clock stands")
    approval = {Annotation.ARGOCD_DELETION_APPROVED: datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")}
    shown.argocd.patch(UNIT, {"metadata": {"annotations": approval}})
    eventually(lambda: not objects(shown) & before, lambda: f"{len(objects(shown) & before)} objects stay")
