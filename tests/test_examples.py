"""The services in specs/, as committed in rendered/: fresh, and what MindCluster's guide asks for."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from stormc.actions import render
from tests.samples import container, pod, role

ROOT = Path(__file__).parent.parent
RENDERED = ROOT / "rendered"
DIRECTORIES = sorted(path.parent for path in RENDERED.rglob("kustomization.yaml"))
MIN = "huawei.com/schedule_minAvailable"
RECOVER = "huawei.com/recover_policy_path"


def service(app: str) -> Any:
    return yaml.safe_load((RENDERED / app / f"stormservice-{app.rpartition('/')[2]}.yaml").read_text(encoding="utf-8"))


def facts(app: str, name: str) -> dict[str, Any]:
    """What the guide's samples say of a role, gathered from the manifest."""
    made = service(app)
    template, engine = pod(made, name), container(made, name)
    return {
        "replicas": role(made, name)["replicas"],
        "podGroupSize": role(made, name)["podGroupSize"],
        "labels": {k: v for k, v in template["metadata"]["labels"].items() if "rescheduling" in k or "fault" in k},
        "annotations": template["metadata"]["annotations"],
        "npus": engine["resources"]["requests"]["huawei.com/Ascend910"],
        "accelerator": template["spec"]["nodeSelector"]["accelerator-type"],
        "scheduler": template["spec"]["schedulerName"],
        "restart": template["spec"]["restartPolicy"],
    }


FORCE = {"fault-scheduling": "force", "fault-retry-times": "10"}
A3 = {"npus": "16", "accelerator": "module-a3-16-super-pod", "scheduler": "volcano", "restart": "Never"}
A2 = {"npus": "8", "accelerator": "module-910b-8", "scheduler": "volcano", "restart": "Never"}

SAMPLES: list[tuple[str, str, dict[str, Any]]] = [
    ("a3/qwen3-moe", "prefill", {
        "replicas": 2, "podGroupSize": 1, "labels": {**FORCE, "pod-rescheduling": "on"},
        "annotations": {MIN: "2", RECOVER: "pod", "sp-block": "16"}, **A3}),
    ("a3/qwen3-moe", "decode", {
        "replicas": 1, "podGroupSize": 2, "labels": FORCE, "annotations": {MIN: "2", "sp-block": "32"}, **A3}),
    ("a3/my-test", "prefill", {
        "replicas": 1, "podGroupSize": 1, "labels": {**FORCE, "pod-rescheduling": "on"},
        "annotations": {MIN: "1", RECOVER: "pod"}, **A3}),
    ("a3/my-test", "decode", {
        "replicas": 1, "podGroupSize": 2, "labels": FORCE, "annotations": {MIN: "2"}, **A3}),
    ("a2/qwen3-8b", "prefill", {
        "replicas": 1, "podGroupSize": 2, "labels": FORCE, "annotations": {MIN: "2"}, **A2}),
    ("a2/qwen3-8b", "decode", {
        "replicas": 1, "podGroupSize": 2, "labels": FORCE, "annotations": {MIN: "2"}, **A2}),
]  # fmt: skip


@pytest.mark.parametrize(("app", "name", "wanted"), SAMPLES)
def test_examples_say_what_the_guides_samples_say(app: str, name: str, wanted: dict[str, Any]) -> None:
    assert facts(app, name) == wanted


def test_examples_carry_their_ports_and_fault_policies() -> None:
    assert pod(service("a3/qwen3-moe"), "prefill")["metadata"]["labels"]["subHealthyStrategy"] == "forceExit"
    for app, port in (("a3/qwen3-moe", "8080"), ("a3/my-test", "8000"), ("a2/qwen3-8b", "8000")):
        assert pod(service(app), "decode")["metadata"]["labels"]["model.aibrix.ai/port"] == port
    decode = json.loads(
        (yaml.safe_load((RENDERED / "a3/qwen3-moe/configmap-qwen3-moe-proxy-config.yaml").read_text())["data"])[
            "config.json"
        ]
    )["decode"]
    assert len(decode) == 32, "every rank of the distributed data parallelism is a backend"


def test_rendered_is_what_specs_render_to() -> None:
    result = render(ROOT / "specs", RENDERED, check=True)
    assert result.plan is not None, result.findings
    assert not result.plan.writes and not result.plan.removals and not result.findings, "run: make render"


KUBECTL = shutil.which("kubectl")
needs_kubectl = pytest.mark.skipif(KUBECTL is None, reason="no kubectl on this machine")


@needs_kubectl
@pytest.mark.parametrize("directory", DIRECTORIES, ids=lambda path: path.name)
def test_kustomize_builds_exactly_our_objects(directory: Path) -> None:
    assert KUBECTL
    built = subprocess.run([KUBECTL, "kustomize", str(directory)], capture_output=True, text=True, check=True).stdout
    ours = [yaml.safe_load(p.read_text()) for p in directory.glob("*.yaml") if p.name != "kustomization.yaml"]

    def key(manifest: dict[str, Any]) -> tuple[str, str]:
        return manifest["kind"], manifest["metadata"]["name"]

    assert sorted(yaml.safe_load_all(built), key=key) == sorted(ours, key=key)


@needs_kubectl
@pytest.mark.parametrize("directory", DIRECTORIES, ids=lambda path: path.name)
def test_kubectl_reads_every_file_as_meant(directory: Path) -> None:
    assert KUBECTL
    files = [path for path in sorted(directory.glob("*.yaml")) if path.name != "kustomization.yaml"]
    arguments = [argument for path in files for argument in ("-f", str(path))]
    command = [KUBECTL, "annotate", "--local", "read=yes", "-o", "json", *arguments]
    read = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    decoder, at = json.JSONDecoder(), 0
    found: list[dict[str, Any]] = []
    while at < len(read.rstrip()):
        document, at = decoder.raw_decode(read, at + len(read[at:]) - len(read[at:].lstrip()))
        found += document["items"] if document["kind"] == "List" else [document]
    for path, manifest in zip(files, found, strict=True):
        manifest["metadata"]["annotations"].pop("read")
        if not manifest["metadata"]["annotations"]:
            del manifest["metadata"]["annotations"]
        wanted = yaml.safe_load(path.read_text())
        manifest.pop("status", None)
        manifest["metadata"].pop("creationTimestamp", None)
        assert manifest == wanted, path.name
