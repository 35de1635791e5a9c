"""What stormc writes is what the cluster keeps: nothing is rewritten, dropped or filled in behind Git's back."""

from __future__ import annotations

from pathlib import Path

import pytest

from stormc.emit.canonical import emit_yaml
from stormc.model.profile import ArgoCD, Flux, Gitops, Platform
from tests.gitops.cluster import CORE, drift, stored
from tests.gitops.mutations import MUTATIONS, Mutation
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
