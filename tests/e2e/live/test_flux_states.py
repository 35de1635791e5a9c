"""What Flux itself says of a service in every state: the Flux columns of docs/gitops.md, cell by cell."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from stormc.cluster.kinds import CONFIG_MAP, SERVICE, STORM_SERVICE
from tests.e2e.live.aibrix import releases
from tests.e2e.live.cluster import LiveCluster
from tests.e2e.live.commands import kubectl
from tests.e2e.live.control_plane import eventually
from tests.e2e.live.flux import KUSTOMIZATION, Flux, condition
from tests.e2e.live.layouts import LaidOut, Layout
from tests.e2e.live.quota import no_npus

NAMESPACE, FLUX_NAMESPACE, UNIT, APP = "flux-of-states", "flux-states", "apps-chat", "chat"
LAYOUT = Layout("states", {"apps/chat": NAMESPACE}, frozenset())
FIRST, SECOND = "vllm-ascend:v0.12.0rc1", "vllm-ascend:v0.13.0"
IN_PROGRESS = "Reconciliation in progress"
MOMENT_SECONDS = 3.0
"""How long a test looks whether something stays as it is."""

pytestmark = pytest.mark.parametrize("live", releases()[-1:], indirect=True, ids=lambda release: release.label)


class Told:
    """An app of three pods that Flux applies, and what Flux says of it."""

    def __init__(self, live: LiveCluster, directory: Path) -> None:
        self.live = live
        live.namespace(FLUX_NAMESPACE)
        self.laid_out = LaidOut(LAYOUT, "flux", live, directory)
        self.repository = self.laid_out.repository
        self.flux = Flux(live.plane, FLUX_NAMESPACE)
        for entry in self.laid_out.entries:
            kubectl(live.plane, ["apply", "--server-side", "-k", str(entry)])

    def close(self) -> None:
        """Ends Flux, then deletes what it applied."""
        self.live.kubelet.release()
        self.flux.stop()
        self.laid_out.close()

    def ready(self, unit: str = UNIT) -> tuple[str, str]:
        """Status and message of the Kustomization's condition Ready."""
        status, _, message = self.flux.ready(unit)
        return status, message

    def until_ready(self) -> None:
        """Until the app is ready at the last commit."""
        self.flux.pull("stormc", self.repository.head())
        self.flux.until_ready(UNIT, self.repository.head())

    def edit(self, old: str, new: str) -> str:
        """Commits a change of the app's spec, and waits until Flux has applied it."""
        commit = self.repository.edit("apps/chat", lambda text: text.replace(old, new, 1))
        self.flux.pull("stormc", commit)
        eventually(lambda: self.flux.attempted(UNIT) == commit, lambda: str(self.ready()))
        return commit

    def patch(self, kind: str, name: str, change: object, namespace: str = NAMESPACE) -> None:
        """Changes a live object as a person does, with kubectl."""
        kubectl(
            self.live.plane, ["patch", kind, "-n", namespace, name, "--type=merge", f"--patch={json.dumps(change)}"]
        )

    def decode_services(self) -> set[str]:
        """The Services of single decode pods."""
        found = self.live.cluster.find(SERVICE, NAMESPACE, {"app.kubernetes.io/managed-by": "stormc"}) or ()
        return {service["metadata"]["name"] for service in found if "-decode-" in service["metadata"]["name"]}


@pytest.fixture(scope="module")
def told(live: LiveCluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Told]:
    """The app, whose pods load until the first test lets them be ready."""
    live.kubelet.held = lambda pod: pod["metadata"]["namespace"] == NAMESPACE
    made = Told(live, tmp_path_factory.mktemp("states"))
    try:
        yield made
    finally:
        made.close()


def test_pods_that_load_and_pods_that_are_ready(told: Told) -> None:
    eventually(lambda: len(told.live.uids(NAMESPACE, APP)) == 3, "no pods")
    eventually(lambda: told.ready() == ("Unknown", IN_PROGRESS), lambda: str(told.ready()))
    told.live.kubelet.release()
    told.until_ready()
    versions = [v.object for v in told.flux.kustomizations.versions(FLUX_NAMESPACE, UNIT)]
    first = next(i for i, version in enumerate(versions) if condition(version, "Ready")[0] == "True")
    assert {condition(version, "Ready")[0] for version in versions[:first]} <= {"", "Unknown", "False"}


def test_ready_stays_when_pods_fail_later_until_the_next_reconciliation(told: Told) -> None:
    told.live.kubelet.held = lambda pod: pod["metadata"]["namespace"] == NAMESPACE
    try:
        for pod in told.live.kubelet.pods(NAMESPACE, APP, "decode"):
            told.live.kubelet.fail(pod)
        eventually(lambda: told.live.problem(NAMESPACE, APP), "the app stays ready")
        time.sleep(MOMENT_SECONDS)
        assert told.ready()[0] == "True"
        told.flux.request(KUSTOMIZATION, UNIT)
        eventually(lambda: told.ready() == ("Unknown", IN_PROGRESS), lambda: str(told.ready()))
        repaired_only_afterwards(told)
    finally:
        told.live.kubelet.release()
    told.until_ready()
    told.flux.reconcile(UNIT)
    assert "edited" not in configuration(told)


def repaired_only_afterwards(told: Told) -> None:
    """A live edit stays while the Kustomization waits, even if somebody asks for a reconciliation."""
    told.patch("configmap", f"{APP}-proxy-config", {"data": {"edited": "by hand"}})
    told.flux.request(KUSTOMIZATION, UNIT)
    time.sleep(MOMENT_SECONDS)
    assert told.ready()[0] == "Unknown" and configuration(told)["edited"] == "by hand"


def configuration(told: Told) -> dict[str, str]:
    """What stands in the proxy's ConfigMap."""
    live = told.live.cluster.get(CONFIG_MAP, NAMESPACE, f"{APP}-proxy-config")
    return dict((live or {}).get("data", {}))


def test_an_update_under_way(told: Told) -> None:
    """Unknown, but for the moment in which AIBrix reports the old state: then True, until the next reconciliation."""
    told.live.kubelet.held = lambda pod: SECOND in pod["spec"]["containers"][0]["image"]
    try:
        told.edit(f"image: {FIRST}", f"image: {SECOND}")
        eventually(lambda: told.live.problem(NAMESPACE, APP), "no update")
        assert told.ready()[0] in ("Unknown", "True")
        told.flux.request(KUSTOMIZATION, UNIT)
        eventually(lambda: told.ready() == ("Unknown", IN_PROGRESS), lambda: str(told.ready()))
    finally:
        told.live.kubelet.release()
    told.until_ready()


def test_a_pause_by_hand_lasts_only_while_the_kustomization_is_suspended(told: Told) -> None:
    def paused() -> bool:
        return bool((told.live.cluster.get(STORM_SERVICE, NAMESPACE, APP) or {})["spec"].get("paused"))

    told.patch("stormservice", APP, {"spec": {"paused": True}})
    told.flux.reconcile(UNIT)
    assert not paused()
    told.patch("kustomization", UNIT, {"spec": {"suspend": True}}, FLUX_NAMESPACE)
    told.patch("stormservice", APP, {"spec": {"paused": True}})
    told.flux.request(KUSTOMIZATION, UNIT)
    time.sleep(MOMENT_SECONDS)
    assert paused()
    told.patch("kustomization", UNIT, {"spec": {"suspend": False}}, FLUX_NAMESPACE)
    eventually(lambda: not paused(), "the pause stays")
    told.until_ready()


def test_fewer_replicas_take_the_services_of_their_pods_along(told: Told) -> None:
    told.edit("decode:\n", "decode:\n  replicas: 2\n")
    told.until_ready()
    assert told.decode_services() == {"chat-decode-0", "chat-decode-1"}
    told.edit("decode:\n  replicas: 2\n", "decode:\n")
    told.until_ready()
    assert told.decode_services() == {"chat-decode-0"}


def test_a_kustomization_that_is_deleted_keeps_all_objects(told: Told) -> None:
    def objects() -> set[str]:
        labels = {"app.kubernetes.io/managed-by": "stormc", "app.kubernetes.io/part-of": APP}
        kinds = (STORM_SERVICE, SERVICE, CONFIG_MAP)
        return {m["metadata"]["uid"] for kind in kinds for m in told.live.cluster.find(kind, NAMESPACE, labels) or ()}

    before, pods = objects(), told.live.uids(NAMESPACE, APP)
    uid = told.flux.kustomization(UNIT)["metadata"]["uid"]
    kubectl(told.live.plane, ["delete", "kustomization", "-n", FLUX_NAMESPACE, UNIT])
    assert len(before) > 3 and objects() == before
    told.flux.reconcile("stormc")
    told.until_ready()
    assert told.flux.kustomization(UNIT)["metadata"]["uid"] != uid
    assert objects() == before and told.live.uids(NAMESPACE, APP) == pods


def test_a_quota_is_told_by_the_timeout(told: Told) -> None:
    """The wiring's timeout is more than half an hour; a copy of the Kustomization has the shortest that Flux takes."""
    no_npus(told.live, NAMESPACE)
    text = told.repository.spec("apps/chat").read_text().replace("name: chat", "name: refused", 1)
    told.flux.pull("stormc", told.repository.add("apps/refused", text))
    eventually(lambda: told.ready("apps-refused") == ("Unknown", IN_PROGRESS), lambda: str(told.ready("apps-refused")))
    spec = {**told.flux.kustomization("apps-refused")["spec"], "timeout": "30s"}
    metadata = {"name": "impatient", "namespace": FLUX_NAMESPACE}
    impatient = {"apiVersion": KUSTOMIZATION.version, "kind": KUSTOMIZATION.name, "metadata": metadata, "spec": spec}
    told.live.cluster.apply(KUSTOMIZATION, FLUX_NAMESPACE, impatient, dry_run=False, force=False)
    eventually(
        lambda: told.flux.ready("impatient")[:2] == ("False", "HealthCheckFailed"), lambda: str(told.ready("impatient"))
    )
    # 'Unknown' where the limit of its client cuts off the last look before the timeout
    assert re.search("StormService/flux-of-states/refused status: '(InProgress|Unknown)'", told.ready("impatient")[1])
    assert told.ready("apps-refused") == ("Unknown", IN_PROGRESS)
