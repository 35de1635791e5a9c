"""Flux with the wiring that stormc renders, on a repository over HTTP: the Flux columns of docs/gitops.md."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from stormc.cluster.kinds import SERVICE, STORM_SERVICE
from tests.e2e.live.aibrix import releases
from tests.e2e.live.cluster import LiveCluster
from tests.e2e.live.commands import kubectl
from tests.e2e.live.control_plane import eventually
from tests.e2e.live.flux import KUSTOMIZATION, Flux, condition
from tests.e2e.live.site import APPS, DOCS, EDITS, NAMESPACES, SHARED, Site, changes, documented

WIRING = "stormc"
NEVER_READY = ("image: vllm-ascend:v0.12.0rc1\n", "image: vllm-ascend:broken\n")

pytestmark = pytest.mark.parametrize("live", releases()[-1:], indirect=True, ids=lambda release: release.label)


class FluxSite(Site):
    """The examples, synced by Flux."""

    def __init__(self, live: LiveCluster, directory: Path) -> None:
        super().__init__(live, directory)
        self.flux = Flux(live.plane)
        for command in re.findall(r"^kubectl (create .*deployer.*)$", DOCS, re.M):
            for namespace in NAMESPACES if "-n inference " in command else ("",):
                kubectl(live.plane, shlex.split(command.replace("-n inference ", f"-n {namespace} ")))
        kubectl(live.plane, documented("(apply .*_gitops/flux)"), self.repository.directory)

    def close(self) -> None:
        """Ends Flux, then deletes what it synced."""
        self.flux.stop()
        super().close()

    def pull(self, commit: str) -> None:
        """Has Flux fetch a commit now and not within a minute."""
        self.flux.pull(WIRING, commit)

    def until_all_ready(self) -> None:
        """Until everything is applied and ready at the last commit."""
        self.pull(self.repository.head())
        for name in (WIRING, *SHARED, *APPS):
            self.flux.until_ready(name, self.repository.head())


@pytest.fixture(scope="module")
def site(live: LiveCluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[FluxSite]:
    """The examples, synced by the commands of the documentation."""
    made = FluxSite(live, tmp_path_factory.mktemp("flux"))
    try:
        yield made
    finally:
        made.close()


def test_the_wiring_applies_every_app_and_waits_for_its_pods(site: FluxSite) -> None:
    site.until_all_ready()
    for name, (namespace, app) in APPS.items():
        site.live.until_ready(namespace, app)
        assert all(site.uids(name).values()), name


def test_three_reconciliations_change_nothing_though_the_webhook_adds_fields(site: FluxSite) -> None:
    site.until_all_ready()
    live = site.services.live()
    assert all("disruptionTolerance" in service["spec"] for service in live), "the webhook wrote nothing"
    before, pods = {s["metadata"]["name"]: s["metadata"]["generation"] for s in live}, site.all_uids()
    for _ in range(3):
        for name in APPS:
            site.flux.reconcile(name)
    assert {s["metadata"]["name"]: s["metadata"]["generation"] for s in site.services.live()} == before
    assert site.all_uids() == pods


@pytest.mark.parametrize(("name", "spec", "old", "new", "expected"), EDITS.values(), ids=list(EDITS))
def test_a_commit_changes_exactly_the_pods_of_its_roles(
    site: FluxSite, name: str, spec: str, old: str, new: str, expected: dict[str, str]
) -> None:
    site.until_all_ready()
    before, others = site.uids(name), site.all_uids() - set().union(*site.uids(name).values())
    site.repository.edit(spec, lambda text: text.replace(old, new, 1))
    site.until_all_ready()
    eventually(lambda: changes(before, site.uids(name)) == expected, lambda: changes(before, site.uids(name)))
    assert others <= site.all_uids()


def test_a_live_edit_is_taken_back_at_the_next_reconciliation(site: FluxSite) -> None:
    site.until_all_ready()
    namespace, app = APPS["a3-my-test"]
    pods = site.uids("a3-my-test")
    kubectl(site.live.plane, [
        "patch", "stormservice", "-n", namespace, app, "--type=json",
        '-p=[{"op": "replace", "path": "/spec/template/spec/roles/1/replicas", "value": 2}]',
    ])  # fmt: skip
    eventually(lambda: len(site.uids("a3-my-test")["decode"]) > len(pods["decode"]), "no new pods")
    site.flux.reconcile("a3-my-test")
    eventually(lambda: site.uids("a3-my-test") == pods, "not the pods of before")


def test_a_new_service_is_ready_only_when_its_pods_are(site: FluxSite) -> None:
    site.until_all_ready()
    text = site.repository.spec("a3/my-test").read_text().replace("name: my-test", "name: slow", 1)
    site.live.kubelet.held = lambda pod: "slow" in pod["metadata"]["name"]
    try:
        commit = site.repository.add("a3/slow", text)
        site.pull(commit)
        eventually(lambda: len(site.live.uids("default", "slow")) == 4, "no pods")
        eventually(lambda: site.flux.ready("a3-slow")[0] == "Unknown", lambda: str(site.flux.ready("a3-slow")))
        assert site.flux.ready("a3-slow")[2] == "Reconciliation in progress"
        seen = site.flux.kustomizations.versions("flux-system", "a3-slow")
        assert "True" not in {condition(version.object, "Ready")[0] for version in seen}
    finally:
        site.live.kubelet.release()
    site.flux.until_ready("a3-slow", commit)


def test_a_removed_spec_keeps_its_pods_until_the_printed_command_deletes_them(site: FluxSite) -> None:
    pods = site.live.uids("default", "slow")
    commit = site.repository.remove("a3/slow")
    told = site.repository.told()
    assert "Flux removes Kustomization a3-slow and keeps its objects" in told
    site.pull(commit)
    eventually(lambda: not site.flux.kustomization("a3-slow"), "the Kustomization stays")
    assert site.live.uids("default", "slow") == pods and len(pods) == 4
    (command,) = re.findall(r"delete what is kept: kubectl (.*)", told)
    kubectl(site.live.plane, [*shlex.split(command), "--wait=false"])
    eventually(lambda: not site.live.uids("default", "slow"), "pods stay")


def test_four_waiting_services_do_not_keep_the_next_commit_from_the_wiring(site: FluxSite) -> None:
    """Four is how many workers the controller has; the commit that takes the services away again frees all of them."""
    site.until_all_ready()
    text = site.repository.spec("a3/my-test").read_text()
    waiting = [f"slow-{number}" for number in range(4)]
    site.live.kubelet.held = lambda pod: "slow-" in pod["metadata"]["name"]
    try:
        for name in waiting:
            commit = site.repository.add(f"a3/{name}", text.replace("name: my-test", f"name: {name}", 1))
        site.pull(commit)
        for name in waiting:
            eventually(lambda name=name: site.flux.attempted(f"a3-{name}") == commit, name)  # type: ignore[misc]
        assert {site.flux.ready(f"a3-{name}")[0] for name in waiting} == {"Unknown"}
        commit = site.repository.add("a3/fifth", text.replace("name: my-test", "name: fifth", 1))
        site.pull(commit)
        site.flux.until_ready(WIRING, commit)
        eventually(lambda: site.flux.kustomization("a3-fifth"), "no Kustomization for the fifth")
        for name in (*waiting, "fifth"):
            site.repository.spec(f"a3/{name}").unlink()
        site.repository.commit("None of the five")
        site.until_all_ready()
    finally:
        site.live.kubelet.release()
        for name in (*waiting, "fifth"):
            site.live.remove("default", name)


def test_a_revert_is_applied_while_flux_waits_for_broken_pods(site: FluxSite) -> None:
    site.until_all_ready()
    site.live.kubelet.held = lambda pod: "broken" in pod["spec"]["containers"][0]["image"]
    try:
        for _ in range(3):
            bad = site.repository.edit("a3/my-test", lambda text: text.replace(*NEVER_READY))
            site.pull(bad)
            eventually(lambda bad=bad: site.flux.attempted("a3-my-test") == bad, "not applied")  # type: ignore[misc]
            eventually(
                lambda: any("broken" in image(pod) for pod in site.live.kubelet.pods("default", "my-test")), "no pod"
            )
            site.repository.revert()
            site.until_all_ready()
            site.live.until_ready(*APPS["a3-my-test"])
    finally:
        site.live.kubelet.release()


def test_a_second_kustomization_waits_for_the_pods_of_an_update(site: FluxSite) -> None:
    """The way round the moment in which AIBrix reports the old state: docs/gitops.md describes it."""
    site.until_all_ready()
    nothing = site.repository.directory / "settled/kustomization.yaml"
    nothing.parent.mkdir()
    nothing.write_text("apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nresources: []\n")
    site.repository.commit("Nothing to apply")
    app = site.flux.kustomization("a3-deepseek-v32")
    metadata = {"name": "deepseek-settled", "namespace": "flux-system"}
    spec = {**app["spec"], "path": "./settled", "dependsOn": [{"name": "a3-deepseek-v32"}]}
    second = {"apiVersion": KUSTOMIZATION.version, "kind": KUSTOMIZATION.name, "metadata": metadata, "spec": spec}
    site.live.cluster.apply(KUSTOMIZATION, "flux-system", second, dry_run=False, force=False)
    site.flux.until_ready("deepseek-settled", site.repository.head())
    site.live.kubelet.held = lambda pod: "broken" in image(pod)
    try:
        for _ in range(2):
            mark = site.flux.kustomizations.mark()
            bad = site.repository.edit("a3/deepseek-v3.2", lambda text: text.replace("v0.23.0-a3", "v0.23.0-a3-broken"))
            site.pull(bad)
            eventually(
                lambda: any("broken" in image(p) for p in site.live.kubelet.pods("inference", "deepseek-v32")), "no"
            )
            site.repository.revert()
            site.until_all_ready()
            site.flux.until_ready("deepseek-settled", site.repository.head())
            seen = [v.object for v in site.flux.kustomizations.versions("flux-system", "deepseek-settled", mark)]
            applied = [v["status"].get("lastAppliedRevision", "") for v in seen if condition(v, "Ready")[0] == "True"]
            assert not [revision for revision in applied if revision.endswith(bad)]
    finally:
        site.live.kubelet.release()
        site.live.plane.request("DELETE", KUSTOMIZATION.path("flux-system", "deepseek-settled"))


def image(pod: dict[str, object]) -> str:
    """The image of a pod's first container."""
    return str(pod["spec"]["containers"][0]["image"])  # type: ignore[index]


def test_a_change_of_namespace_keeps_the_old_service_without_its_services(site: FluxSite) -> None:
    site.until_all_ready()
    pods = site.live.uids("inference", "qwen3-8b")
    site.repository.edit("a2/qwen3-8b", lambda text: text.replace("namespace: inference", "namespace: staging"))
    assert "Flux keeps the StormService: prune disabled; it deletes the others at once" in site.repository.told()
    site.until_all_ready()
    site.live.until_ready("staging", "qwen3-8b")
    assert site.live.cluster.get(STORM_SERVICE, "inference", "qwen3-8b")
    assert site.live.uids("inference", "qwen3-8b") == pods
    left = site.live.cluster.find(SERVICE, "inference", {"app.kubernetes.io/part-of": "qwen3-8b"}) or []
    assert {service["metadata"]["name"] for service in left} <= {"qwen3-8b"}, "more than the Service that AIBrix makes"
