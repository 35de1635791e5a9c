"""What stormc writes is what the cluster keeps: nothing is rewritten, dropped or filled in behind Git's back."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import stormc.compile.stages
import stormc.emit.canonical
import stormc.model.build_role
import stormc.passes.engine.environment
import stormc.passes.overrides
import stormc.passes.proxy.pods
import stormc.passes.workload
from stormc.emit.canonical import emit_yaml
from stormc.model.app import App
from stormc.model.profile import ArgoCD, Flux, Gitops, Platform
from stormc.passes import PIPELINE
from stormc.passes.edit import Edit
from stormc.passes.runner import Pass
from tests.gitops.cluster import CORE, drift, stored
from tests.samples import compiled, findings

ROOT = Path(__file__).parent.parent.parent
COMMITTED = sorted(
    path
    for top in ("rendered", "tests/golden/cases")
    for path in (ROOT / top).rglob("*.yaml")
    if (path.parent / "kustomization.yaml").exists() and path.name != "kustomization.yaml"
    if "_gitops" not in path.parts
)
OF_APPS = {"stormservice", *(kind.lower() for kind in CORE)}


@pytest.mark.parametrize("path", COMMITTED, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_no_committed_object_drifts(path: Path) -> None:
    assert path.name.split("-")[0] in OF_APPS
    assert drift(path.read_bytes()) == []


WIRED = Platform(gitops=Gitops(
    ArgoCD("https://git.example.com/x.git", "inference"), Flux("https://git.example.com/x.git")
))  # fmt: skip
RICH = """
port: 9000
imagePullSecrets: [registry]
networkPolicy: true
faults: {retries: 10}
prefill:
  env: {EMPTY: "", LATER: "12:30", SWITCH: "on"}
  resources: {cpu: 96000m, memory: 819200Mi}
  shmSize: 65536Mi
  tolerations: [{key: npu, operator: Exists, value: "", effect: NoSchedule}]
  annotations: {note: "0x1F", octal: "010"}
decode:
  labels: {tier: "y", build: "1_000"}
routing:
  replicas: 2
  resources: {cpu: 1500m, memory: 1024Mi}
overrides:
  - target: StormService
    reason: more memory
    owner: platform
    patch:
      spec:
        template:
          spec:
            roles:
              - name: decode
                template: {spec: {containers: [{name: decode, resources: {limits: {memory: 2048Mi, cpu: 8}}}]}}
"""


def found(overlay: str = RICH) -> list[str]:
    made = compiled(overlay, WIRED)
    return [place for manifest in made.manifests for place in drift(emit_yaml(dict(manifest)))]


def test_a_rich_service_does_not_drift() -> None:
    assert found() == []


PATCHES = [
    ("{hostNetwork: false}", "hostNetwork is false"),
    ("{tolerations: []}", "tolerations is empty"),
    ("{hostAliases: []}", "hostAliases is empty"),
    ("{nodeSelector: {}}", "nodeSelector is empty"),
    ("{containers: [{name: decode, env: [{name: A, value: ''}]}]}", "value is empty"),
    ("{containers: [{name: decode, ports: [{containerPort: 1}]}]}", "ports[0].protocol is missing"),
    ("{containers: [{name: decode, startupProbe: {initialDelaySeconds: 0}}]}", "initialDelaySeconds 0"),
    ("{initContainers: [{name: i, image: x, args: []}]}", "args is empty"),
    ("{volumes: [{name: v, configMap: {}}]}", "configMap.name is missing"),
    ("{volumes: [{name: v, emptyDir: {}}]}", None),
    ("{volumes: [{name: v, emptyDir: {sizeLimit: 1024Mi}}]}", None),
    ("{overhead: {cpu: 1000m, memory: 0.5Gi}}", None),
    ("{initContainers: [{name: i, image: x, resources: {limits: {cpu: 1000m, memory: 2048Mi}}}]}", None),
    ("{containers: [{name: decode, env: [{name: A, valueFrom: {resourceFieldRef: {resource: x, divisor: 1000m}}}]}]}",
     None),
    ("{securityContext: {}}", None),
]  # fmt: skip


@pytest.mark.parametrize(("patch", "finding"), PATCHES)
def test_an_override_that_would_drift_is_written_canonically_or_refused(patch: str, finding: str | None) -> None:
    roles = f"{{spec: {{template: {{spec: {{roles: [{{name: decode, template: {{spec: {patch}}}}}]}}}}}}}}"
    overlay = f"overrides: [{{target: StormService, reason: r, owner: o, patch: {roles}}}]"
    told = [f.message for f in findings(overlay) if f.rule == "E501"]
    assert bool(told) == bool(found(overlay)) == bool(finding)
    assert all(finding and finding in message for message in told)


Break = Callable[[pytest.MonkeyPatch], None]


@dataclass(frozen=True)
class Mutation:
    """One canonicalisation taken out of the compiler, and the difference that must then show."""

    name: str
    take_out: Break
    shows: str


def _set(module: Any, name: str, value: Any) -> Break:
    return lambda patch: patch.setattr(module, name, value)


def _edits(change: Callable[[Edit], Edit | None]) -> Break:
    """The pipeline with each edit changed, or left out."""

    def changed(step: Pass) -> Pass:
        def apply(app: App, platform: Platform) -> Iterator[Edit]:
            return (made for edit in step.apply(app, platform) if (made := change(edit)) is not None)

        return step._replace(apply=apply)

    return _set(stormc.compile.stages, "PIPELINE", tuple(changed(step) for step in PIPELINE))


def _env_with_empty_values(patch: pytest.MonkeyPatch) -> None:
    for module in (stormc.passes.engine.environment, stormc.passes.proxy.pods):
        patch.setattr(module, "env_entry", lambda name, value: {"name": name, "value": value})


def _plain_words(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(stormc.emit.canonical, "_scalars", {})
    patch.setattr(stormc.emit.canonical, "_WORDS", frozenset())


def _plain_numbers(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(stormc.emit.canonical, "_scalars", {})
    patch.setattr(stormc.emit.canonical, "_PLAIN", re.compile(r"[A-Za-z0-9_.:/-]+\Z"))


def _tolerations_as_written(patch: pytest.MonkeyPatch) -> None:
    pods = stormc.model.build_role.build_pods

    def as_written(name: str, data: Any) -> dict[str, Any]:
        return {**pods(name, data), "tolerations": tuple(data[name].get("tolerations", ()))}

    patch.setattr(stormc.model.build_role, "build_pods", as_written)


def _without_protocol(edit: Edit) -> Edit:
    if "ports" in edit.path and isinstance(edit.value, dict):
        return edit._replace(value={key: value for key, value in edit.value.items() if key != "protocol"})
    return edit


def _read_only_false(edit: Edit) -> Edit:
    if "volumeMounts" in edit.path and isinstance(edit.value, dict):
        return edit._replace(value={"readOnly": False, **edit.value})
    return edit


def _one_per_role_only(edit: Edit) -> Edit | None:
    return None if edit.path == ("spec", "template", "spec", "updateStrategy") else edit


def _amounts_as_numbers(edit: Edit) -> Edit:
    if edit.path[-2:-1] == ("limits",) and str(edit.path[-1]).startswith("huawei.com/"):
        return edit._replace(value=int(edit.value))
    return edit


MUTATIONS = [
    Mutation("quantities as typed", _set(stormc.model.build_role, "canonical", str), "'819200Mi' becomes '800Gi'"),
    Mutation("quantities of overrides as typed", _set(stormc.passes.overrides, "_quantity", lambda _, value: value),
             "'2048Mi' becomes '2Gi'"),
    Mutation("NPUs as numbers", _edits(_amounts_as_numbers), "16 becomes '16'"),
    Mutation("empty values of env", _env_with_empty_values, ".value"),
    Mutation("empty values of tolerations", _tolerations_as_written, "tolerations[0].value"),
    Mutation("false where Go says nothing", _edits(_read_only_false), ".readOnly"),
    Mutation("no protocol", _edits(_without_protocol), ".protocol is filled in"),
    Mutation("no rollout order", _edits(_one_per_role_only), ".spec.template.spec.updateStrategy is filled in"),
    Mutation("no update type", lambda patch: patch.setitem(stormc.passes.workload.SPEC, "updateStrategy", {}),
             ".spec.updateStrategy"),
    Mutation("words unquoted", _plain_words, "refused: pod-rescheduling: True"),
    Mutation("numbers unquoted", _plain_numbers, "refused: "),
]  # fmt: skip


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.name)
def test_without_a_canonicalisation_the_cluster_differs(mutation: Mutation, monkeypatch: pytest.MonkeyPatch) -> None:
    mutation.take_out(monkeypatch)
    places = found()
    assert any(mutation.shows in place for place in places), places


def test_the_cluster_of_these_tests_does_what_was_measured_of_aibrix() -> None:
    role = """
      - name: decode
        replicas: 0
        stateful: false
        template:
          metadata: {labels: {}, annotations: {a: ""}, generateName: x}
          spec:
            hostNetwork: false
            tolerations: []
            volumes: [{name: shm, emptyDir: {}}]
            topology: unknown
            containers:
            - name: c
              image: i
              args: []
              env: [{name: A, value: ""}]
              ports: [{containerPort: 1}]
              resources: {limits: {npu: 8, cpu: 1000m, memory: 1024Mi, disk: 0.5Gi, half: 0.5, tera: 1000000k}}
    """
    live = stored(f"kind: StormService\nspec:\n  paused: false\n  template:\n   spec:\n    roles:{role}")
    assert live["spec"]["updateStrategy"] == {"type": "RollingUpdate"}
    assert live["spec"]["template"]["spec"]["updateStrategy"] == "Sequential"
    assert live["spec"]["template"]["spec"]["roles"] == [{
        "name": "decode", "replicas": 0,
        "template": {"metadata": {"annotations": {"a": ""}}, "spec": {
            "volumes": [{"name": "shm", "emptyDir": {}}],
            "containers": [{
                "name": "c", "image": "i", "env": [{"name": "A"}], "ports": [{"containerPort": 1, "protocol": "TCP"}],
                "resources": {"limits": {
                    "npu": "8", "cpu": "1", "memory": "1Gi", "disk": "512Mi", "half": "500m", "tera": "1G"}},
            }],
        }},
    }]  # fmt: skip
    assert "paused" not in live["spec"]
