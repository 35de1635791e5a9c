"""What the engines' health rows say of live statuses; with STORMC_E2E_RECORD=1 these become data of the fast tests."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import yaml

from stormc.cluster.kinds import ROLE_SET, STORM_SERVICE
from stormc.facts.keys import Label
from tests.e2e.live.apps import shaped
from tests.e2e.live.cluster import LiveCluster
from tests.e2e.live.control_plane import eventually
from tests.e2e.live.kubelet import Pod
from tests.e2e.live.quota import no_npus
from tests.e2e.live.watch import Manifest, Watch
from tests.gitops.engines import KINDS, in_argocd, in_flux
from tests.gitops.samples import LIVE

FIRST, SECOND = "vllm-ascend:v0.12.0rc1", "vllm-ascend:v0.13.0"
KEPT = {"StormService": ("replicas", "paused"), "RoleSet": ()}


class Stage:
    """An app of its own in a namespace of its own, and every version of its objects."""

    def __init__(self, live: LiveCluster, overlay: str) -> None:
        self.live = live
        self.namespace = live.namespace()
        self.manifests = shaped(overlay, live.release.label.partition("-")[0], self.namespace)
        (self.app,) = (m["metadata"]["name"] for m in self.manifests if m["kind"] == "StormService")
        self.services, self.role_sets = (
            Watch(live.plane, kind.path(self.namespace)) for kind in (STORM_SERVICE, ROLE_SET)
        )

    def apply(self, image: str = FIRST, paused: bool = False) -> None:
        """Applies the app with an image."""
        text = json.dumps(self.manifests).replace(FIRST, image)
        made = json.loads(text)
        for manifest in made:
            if manifest["kind"] == "StormService" and paused:
                manifest["spec"]["paused"] = True
        self.live.apply(made, self.namespace)

    def service(self) -> Manifest:
        """The StormService now."""
        return self.services.find(self.namespace, self.app) or {}

    def role_set(self) -> Manifest:
        """Its one RoleSet now."""
        return next(iter(self.role_sets.live()), {})

    def until(self, find: Callable[[], Manifest], argocd: str, generation: int = 0) -> Manifest:
        """An object once Argo CD's health of it is the given one, at a generation that AIBrix has seen."""

        def reached() -> Manifest:
            live = find()
            seen = not generation or live.get("status", {}).get("observedGeneration", 0) >= generation
            return live if live and seen and in_argocd(KINDS[live["kind"]], live)[0] == argocd else {}

        return eventually(reached, lambda: f"not {argocd}: {json.dumps(find())[:2000]}")  # type: ignore[no-any-return]

    def close(self) -> None:
        """Lets go of pods and app."""
        self.live.kubelet.release()
        self.live.remove(self.namespace, self.app)
        self.services.close()
        self.role_sets.close()


RECORDED: dict[str, dict[str, Any]] = {}


@pytest.fixture
def stage(live: LiveCluster, request: pytest.FixtureRequest) -> Iterator[Stage]:
    """An app; of another shape where a test is given one."""
    made = Stage(live, getattr(request, "param", "{}"))
    try:
        yield made
    finally:
        made.close()


@pytest.fixture(scope="module", autouse=True)
def recordings() -> Iterator[None]:
    """Writes what was recorded, where that is asked for."""
    yield
    if os.environ.get("STORMC_E2E_RECORD") and RECORDED:
        header = "# Live statuses, recorded by STORMC_E2E_RECORD=1 make e2e (tests/e2e/live/test_health.py).\n"
        text = yaml.safe_dump(list(RECORDED.values()), sort_keys=False, width=120, default_flow_style=None)
        LIVE.write_text(header + text, encoding="utf-8")


def record(stage: Stage, name: str, live: Manifest, argocd: str, message: str, flux: str) -> None:
    """Both engines must say this of an object."""
    health = KINDS[live["kind"]]
    spec = {key: live["spec"][key] for key in KEPT[live["kind"]] if key in live["spec"]}
    kept = {"metadata": {"generation": live["metadata"]["generation"]}, "spec": spec, "status": live.get("status", {})}
    status, told = in_argocd(health, live)
    assert (status, told if message else "", in_flux(health, live)) == (argocd, message, flux)
    label = f"AIBrix {stage.live.release.label}: {name}"
    RECORDED[label] = {"name": label, "kind": live["kind"], "object": kept, "argocd": [status, told], "flux": flux}


def holds(image: str = "") -> Callable[[Pod], bool]:
    """Pods with this image do not become ready; all, without one."""
    return lambda pod: image in pod["spec"]["containers"][0]["image"]


def test_the_first_rollout_and_an_update(stage: Stage) -> None:
    stage.live.kubelet.held = lambda pod: pod["metadata"]["namespace"] == stage.namespace
    stage.apply()
    loading = stage.until(stage.service, "Progressing", 1)
    record(stage, "first pods load the model", loading, "Progressing", "0 of 1 RoleSets ready", "inProgress")
    record(
        stage,
        "its RoleSet",
        stage.until(stage.role_set, "Progressing"),
        "Progressing",
        "not all roles are ready",
        "inProgress",
    )
    stage.live.kubelet.release()
    ready = stage.until(stage.service, "Healthy")
    record(stage, "ready", ready, "Healthy", "1 of 1 RoleSets ready", "current")
    record(
        stage,
        "its RoleSet is ready",
        stage.until(stage.role_set, "Healthy"),
        "Healthy",
        "all roles are ready",
        "current",
    )

    stage.live.kubelet.held = holds(SECOND)
    mark, generation = stage.services.mark(), ready["metadata"]["generation"] + 1
    stage.apply(SECOND)
    old_pods_gone = ("Progressing", "0 of 1 RoleSets ready")
    eventually(lambda: in_argocd(KINDS["StormService"], stage.service()) == old_pods_gone, "no update")
    updating = stage.service()
    record(stage, "update under way", updating, "Progressing", "0 of 1 RoleSets ready", "inProgress")
    versions = [v.object for v in stage.services.versions(stage.namespace, stage.app, mark)]
    stale = [v for v in versions if v["metadata"]["generation"] == generation > v["status"]["observedGeneration"]]
    record(
        stage,
        "update not seen yet",
        stale[0],
        "Progressing",
        "the controller has not seen this generation yet",
        "inProgress",
    )
    for other in [v for v in versions if in_argocd(KINDS["StormService"], v)[1].startswith("updating, ")][:1]:
        record(
            stage,
            "revisions differ for a moment",
            other,
            "Progressing",
            "updating, 1 of 1 RoleSets ready",
            "inProgress",
        )
    for first in [v for v in versions if in_flux(KINDS["StormService"], v) == "current"][:1]:
        record(stage, "the moment after an update, old pods", first, "Healthy", "1 of 1 RoleSets ready", "current")
        assert (
            first["status"]["currentRevision"]
            == first["status"]["updateRevision"]
            == updating["status"]["updateRevision"]
        )


def test_paused_in_the_middle_of_an_update(stage: Stage) -> None:
    stage.apply()
    ready = stage.until(stage.service, "Healthy")
    stage.live.kubelet.held = holds(SECOND)
    stage.apply(SECOND, paused=True)
    generation = ready["metadata"]["generation"] + 1
    paused = stage.until(stage.service, "Suspended", generation)
    record(stage, "an update of a paused service", paused, "Suspended", "", in_flux(KINDS["StormService"], paused))
    assert {image(pod) for pod in stage.live.kubelet.pods(stage.namespace)} == {FIRST}


SINGLE = "{decode: {podGroupSize: 1, dataParallel: 16}}"
GROUPS = "{prefill: {podGroupSize: 2, dataParallel: 4}, decode: {podGroupSize: 2, dataParallel: 4}}"


@pytest.mark.parametrize(("stage", "shape"), [(SINGLE, "single pods"), (GROUPS, "groups")], indirect=["stage"])
def test_a_quota_shows_on_the_role_set_if_anywhere(stage: Stage, shape: str) -> None:
    no_npus(stage.live, stage.namespace)
    stage.apply()
    refused = stage.until(stage.service, "Progressing", 1)
    record(stage, f"quota exceeded, {shape}", refused, "Progressing", "0 of 1 RoleSets ready", "inProgress")
    role_set = eventually(
        lambda: stage.role_set() if stage.role_set().get("status", {}).get("conditions") else {}, "no condition"
    )
    status, _ = in_argocd(KINDS["RoleSet"], role_set)
    assert status in ("Degraded", "Progressing")
    record(stage, f"quota exceeded, {shape}, its RoleSet", role_set, status, "", in_flux(KINDS["RoleSet"], role_set))


def image(pod: Pod) -> str:
    """The image of a pod's engine."""
    assert Label.ROLE in pod["metadata"]["labels"]
    return str(pod["spec"]["containers"][0]["image"])
