"""The policy as admission: a real API server refuses every hostile manifest of the matrix, and passes every example."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from stormc.actions import export_policy
from stormc.cluster.apply import ensure_namespace
from stormc.cluster.connection import Cluster
from stormc.cluster.kinds import Kind
from stormc.compile.compilation import Compilation
from stormc.failure import Failure
from stormc.load.sources import read_sources
from stormc.payload.read import read_payload
from stormc.repository.repository import open_repository
from tests.e2e.conftest import Server
from tests.policy.matrix import APP, HOSTILE, ORDINARY, POLICY
from tests.policy.variants import VARIANTS

ROOT = Path(__file__).parents[2]
REGISTRATION = "admissionregistration.k8s.io/v1"
KINDS = {
    "StormService": Kind("StormService", "orchestration.aibrix.ai/v1alpha1", "stormservices"),
    "Service": Kind("Service", "v1", "services"),
    "NetworkPolicy": Kind("NetworkPolicy", "networking.k8s.io/v1", "networkpolicies"),
}
ADMISSION = {
    "ValidatingAdmissionPolicy": "validatingadmissionpolicies",
    "ValidatingAdmissionPolicyBinding": "validatingadmissionpolicybindings",
}
BEYOND_ONE_OBJECT = {"a claim of others", "the launcher", "copies for everybody", "a fixed address"}
"""Hostile specs that admission does not see: a claim of the spec's own field looks the same, ConfigMaps are no pods,
and the API server has given every Service an address by then."""
REFUSED_ANYHOW = {"a port of every node, chosen"}
"""Hostile specs whose manifests no API server takes, with a policy or without."""
LOOSE = "apiVersion: stormc.dev/v1\nkind: Platform\npolicy: {hostPaths: [/mnt]}\n"


@pytest.fixture(scope="module")
def cluster(server: Server) -> Cluster:
    made = server.cluster()
    for namespace in ("team-a", "argocd", "default", "inference", "ingress-nginx", "envoy-gateway-system"):
        ensure_namespace(made, namespace, dry_run=False)
    return made


def registered(cluster: Cluster, directory: Path, platform: str) -> Iterator[None]:
    """Until the end of the block the policy of a platform file is enforced by the API server."""
    (directory / "specs").mkdir()
    (directory / "specs/platform.yaml").write_text(platform)
    name = directory.name.lower().replace("_", "-")
    objects = [yaml.safe_load(text) for text in export_policy(directory / "specs", "", name)]
    assert {tuple(each["spec"].get("validationActions", ())) for each in objects} == {(), ("Audit", "Warn")}
    probe = dict(manifests(directory, "routing: {nodeSelector: {kubernetes.io/hostname: x}}"))["StormService"]
    for actions in (["Deny"], ["Audit"]):
        for each in objects:
            if each["kind"].endswith("Binding"):
                each["spec"]["validationActions"] = actions
            cluster.apply(
                Kind(each["kind"], REGISTRATION, ADMISSION[each["kind"]], False), None, each, dry_run=False, force=True
            )
        end = time.monotonic() + 90
        while bool(refused(cluster, probe)) != (actions == ["Deny"]):
            assert time.monotonic() < end, f"the API server does not {actions[0]}"
            time.sleep(0.5)
        if actions == ["Deny"]:
            yield


@pytest.fixture
def strict(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    yield from registered(cluster, tmp_path_factory.mktemp("strict"), POLICY)


@pytest.fixture
def loose(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    yield from registered(cluster, tmp_path_factory.mktemp("loose"), LOOSE)


def manifests(directory: Path, fields: str) -> Iterator[tuple[str, Any]]:
    """The manifests of the matrix's app with some fields, judged by no policy of stormc."""
    specs = directory / "app"
    specs.mkdir(exist_ok=True)
    text = yaml.safe_dump({**yaml.safe_load(APP), **(yaml.safe_load(fields) or {})}, sort_keys=False)
    (specs / "app.yaml").write_text(text)
    repository = open_repository(read_sources(specs))
    made: Compilation = repository.compile(repository.apps[0], read_payload())
    assert made.compiled is not None
    return ((each["kind"], each) for each in made.compiled.manifests if each["kind"] in KINDS)


def refused(cluster: Cluster, manifest: Any) -> str:
    """Why the API server refuses an object; empty where it takes it."""
    try:
        cluster.apply(KINDS[manifest["kind"]], manifest["metadata"]["namespace"], manifest, dry_run=True, force=True)
    except Failure as failure:
        return str(failure)
    return ""


def test_every_hostile_manifest_is_refused_and_honest_ones_pass(cluster: Cluster, strict: None, tmp_path: Path) -> None:
    passed: dict[str, bool] = {}
    elsewhere: dict[str, list[str]] = {}
    for case, (fields, _) in (HOSTILE | VARIANTS).items():
        said = [reason for _, each in manifests(tmp_path, fields) if (reason := refused(cluster, each))]
        passed[case] = not said
        others = [reason for reason in said if "ValidatingAdmissionPolicy" not in reason]
        elsewhere |= {case: others} if others else {}
    assert elsewhere.keys() == REFUSED_ANYHOW, elsewhere
    assert {case for case, through in passed.items() if through} == BEYOND_ONE_OBJECT
    for _, each in manifests(tmp_path, ""):
        assert refused(cluster, each) == ""


ONLY_WITHOUT_A_POLICY = {
    "a pull Secret", "a Secret of the app", "a Secret of a hub", "a Secret of a registry", "a Secret of the team",
    "libraries of a directory of the image", "a start script", "a template",
}  # fmt: skip
"""What stormc takes for ordinary where nothing is forbidden, and refuses under a policy that does not list it."""


def test_every_example_and_what_teams_write_every_day_passes(cluster: Cluster, loose: None, tmp_path: Path) -> None:
    for path in sorted((ROOT / "rendered").glob("a*/*/*.yaml")):
        manifest = yaml.safe_load(path.read_bytes())
        if manifest["kind"] in KINDS:
            assert refused(cluster, manifest) == "", path
    for case in ORDINARY.keys() - ONLY_WITHOUT_A_POLICY:
        for _, each in manifests(tmp_path, ORDINARY[case]):
            assert refused(cluster, each) == "", case
