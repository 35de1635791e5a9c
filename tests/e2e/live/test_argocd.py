"""Argo CD with the wiring that stormc renders, on a repository over HTTP: what docs/gitops.md says of it."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from stormc.cluster.kinds import CONFIG_MAP, SERVICE, STORM_SERVICE
from stormc.facts.keys import Annotation
from tests.e2e.live.aibrix import releases
from tests.e2e.live.argo_site import ENTRY, ArgoSite
from tests.e2e.live.cluster import LiveCluster
from tests.e2e.live.commands import kubectl
from tests.e2e.live.control_plane import eventually
from tests.e2e.live.site import APPS, EDITS, SHARED, changes, shell

pytestmark = pytest.mark.parametrize("live", releases()[-1:], indirect=True, ids=lambda release: release.label)


@pytest.fixture(scope="module")
def site(live: LiveCluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ArgoSite]:
    """The examples, synced by the commands of the documentation."""
    made = ArgoSite(live, tmp_path_factory.mktemp("argocd"))
    try:
        yield made
    finally:
        made.close()


def test_the_wiring_finds_every_app_and_syncs_it(site: ArgoSite) -> None:
    site.until_all_synced()
    assert {a["metadata"]["name"] for a in site.argocd.applications.live()} == {ENTRY, *SHARED, *APPS}
    for name, (namespace, app) in APPS.items():
        site.live.until_ready(namespace, app)
        assert all(site.uids(name).values()), name


def test_three_refreshes_change_nothing_though_the_webhook_adds_fields(site: ArgoSite) -> None:
    site.until_all_synced()
    versions, pods = site.services.mark(), site.all_uids()
    histories = {name: site.argocd.application(name)["status"].get("history") for name in APPS}
    for _ in range(3):
        for name in APPS:
            site.argocd.refresh(name)
            assert site.argocd.application(name)["status"]["sync"]["status"] == "Synced", site.argocd.state(name)
    live = site.services.live()
    assert all("disruptionTolerance" in service["spec"] for service in live), "the webhook wrote nothing"
    for namespace, app in APPS.values():
        generations = {v.object["metadata"]["generation"] for v in site.services.versions(namespace, app, versions)}
        assert len(generations) <= 1, app
    assert {name: site.argocd.application(name)["status"].get("history") for name in APPS} == histories
    assert site.all_uids() == pods


@pytest.mark.parametrize(("name", "spec", "old", "new", "expected"), EDITS.values(), ids=list(EDITS))
def test_a_commit_changes_exactly_the_pods_of_its_roles(
    site: ArgoSite, name: str, spec: str, old: str, new: str, expected: dict[str, str]
) -> None:
    site.until_all_synced()
    before, others = site.uids(name), site.all_uids() - set().union(*site.uids(name).values())
    commit = site.repository.edit(spec, lambda text: text.replace(old, new, 1))
    site.argocd.until_synced(name, commit)
    eventually(lambda: changes(before, site.uids(name)) == expected, lambda: changes(before, site.uids(name)))
    site.until_all_synced()
    assert changes(before, site.uids(name)) == expected
    assert others <= site.all_uids()


def test_a_live_edit_is_taken_back(site: ArgoSite) -> None:
    site.until_all_synced()
    namespace, app = APPS["a3-my-test"]
    pods, mark = site.uids("a3-my-test"), site.services.mark()
    roles = [{"op": "replace", "path": "/spec/template/spec/roles/1/replicas", "value": 2}]
    path = STORM_SERVICE.path(namespace, app)
    site.live.plane.request("PATCH", path, roles, "application/json-patch+json")

    def replicas() -> list[int]:
        seen = site.services.versions(namespace, app, mark)
        return [v.object["spec"]["template"]["spec"]["roles"][1]["replicas"] for v in seen]

    eventually(lambda: 2 in replicas() and replicas()[-1] == 1, "not taken back")
    site.until_all_synced()
    eventually(lambda: site.uids("a3-my-test") == pods, "not the pods of before")


def test_a_service_is_healthy_only_when_its_pods_are_ready(site: ArgoSite) -> None:
    site.until_all_synced()
    text = site.repository.spec("a3/my-test").read_text().replace("name: my-test", "name: slow", 1)
    site.live.kubelet.held = lambda pod: "slow" in pod["metadata"]["name"]
    try:
        commit = site.repository.add("a3/slow", text)
        site.argocd.until_synced("a3-slow", commit, "Progressing")
        eventually(lambda: len(site.live.uids("default", "slow")) == 4, "no pods")
        mark = site.argocd.applications.mark()
        for _ in range(2):
            site.argocd.refresh("a3-slow")
        seen = site.argocd.applications.versions("argocd", "a3-slow", mark)
        assert {v.object["status"]["health"]["status"] for v in seen} == {"Progressing"}
    finally:
        site.live.kubelet.release()
    site.argocd.until_synced("a3-slow", commit)


def test_a_removed_spec_keeps_its_pods_until_the_printed_command_deletes_them(site: ArgoSite) -> None:
    pods = site.live.uids("default", "slow")
    site.repository.remove("a3/slow")
    told = site.repository.told()
    assert "Argo CD removes Application a3-slow and keeps its objects" in told
    eventually(lambda: not site.argocd.application("a3-slow"), "the Application stays")
    site.until_all_synced()
    assert site.live.uids("default", "slow") == pods and len(pods) == 4
    (command,) = re.findall(r"delete what is kept: kubectl (.*)", told)
    kubectl(site.live.plane, [*shlex.split(command), "--wait=false"])
    eventually(lambda: not site.live.uids("default", "slow"), "pods stay")
    assert not site.live.cluster.find(SERVICE, "default", {"app.kubernetes.io/part-of": "slow"})


def test_a_change_of_namespace_waits_for_the_printed_confirmation(site: ArgoSite) -> None:
    site.until_all_synced()
    cluster, name = site.live.cluster, "a2-qwen3-8b"
    pods = site.live.uids("inference", "qwen3-8b")
    commit = site.repository.edit(
        "a2/qwen3-8b", lambda text: text.replace("namespace: inference", "namespace: staging")
    )
    assert f"Argo CD holds every sync of Application {name}" in site.repository.told()

    def waiting() -> dict[str, Any]:
        operation = site.argocd.application(name)["status"].get("operationState", {})
        here = operation.get("operation", {}).get("sync", {}).get("revision") == commit
        return operation if here and "confirm" in operation.get("message", "") else {}

    operation = eventually(waiting, lambda: site.argocd.state(name))
    assert operation["phase"] == "Running" and "StormService/qwen3-8b" in operation["message"]
    assert site.live.uids("inference", "qwen3-8b") == pods
    assert cluster.get(STORM_SERVICE, "staging", "qwen3-8b") is None
    assert not cluster.find(CONFIG_MAP, "staging", {"app.kubernetes.io/part-of": "qwen3-8b"})

    # Argo CD keeps both times in whole seconds and takes no approval from the second in which the sync began.
    started = datetime.fromisoformat(operation["startedAt"])
    eventually(lambda: datetime.now(UTC) > started + timedelta(seconds=1), "the clock stands")
    (command,) = re.findall(r"confirm: (kubectl .*)", site.repository.told())
    kubectl(site.live.plane, shell(command)[1:])
    site.argocd.until_synced(name, commit)
    approved = site.argocd.application(name)["metadata"].get("annotations", {})
    assert Annotation.ARGOCD_DELETION_APPROVED in approved, "the ApplicationSet took the confirmation away"
    site.live.until_ready("staging", "qwen3-8b")
    eventually(lambda: not site.live.uids("inference", "qwen3-8b"), "old pods stay")
