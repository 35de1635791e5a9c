"""What holds for every spec: purity, order independence, one writer, the gang formula, one meaning for all readers."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from stormc.emit.schema_check import check_manifest
from stormc.load.engines import read_engines
from stormc.load.releases import mindcluster
from stormc.passes import PIPELINE
from stormc.passes.runner import run_pipeline
from stormc.repository.profiles import builtin_profile
from tests.samples import manifest, pod
from tests.strategies import render, specs, text_of

ROOT = Path(__file__).parent.parent


@given(specs())
def test_every_reader_gets_what_was_meant_and_the_schema_holds(case: tuple[dict[str, Any], str]) -> None:
    app, release = case
    for path, content in render(app, release).items():
        read = yaml.safe_load(content)
        assert read == yaml.load(content, yaml.CSafeLoader)
        assert not check_manifest(read), path
        assert b"&id" not in content
        if read["kind"] == "StormService":
            for role in ("prefill", "decode"):
                env = {e["name"]: e.get("value") for e in pod(read, role)["spec"]["containers"][0]["env"]}
                wanted = {name: str(value) for name, value in app[role].get("env", {}).items()}
                assert wanted.items() <= env.items()
                labels = pod(read, role)["metadata"]["labels"]
                assert app[role].get("labels", {}).items() <= labels.items()


@given(specs(), st.randoms())
def test_the_order_of_keys_changes_no_byte(case: tuple[dict[str, Any], str], random: Any) -> None:
    def shuffled(value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        keys = list(value)
        random.shuffle(keys)
        return {key: shuffled(value[key]) for key in keys}

    app, release = case
    assert render(shuffled(app), release) == render(app, release)


def oracle(app: dict[str, Any], role: str) -> int:
    """The gang size by counting pods per PodGroup as volcano-controller makes them, one per owner object."""
    groups: dict[object, int] = {}
    owner_of: dict[str, object] = {}
    for name in ("prefill", "decode"):
        fields = app[name]
        for replica in range(fields.get("replicas", 1)):
            owner: object = "role set" if fields["podGroupSize"] == 1 else ("pod set", name, replica)
            for _ in range(fields["podGroupSize"]):
                groups[owner] = groups.get(owner, 0) + 1
            owner_of[name] = owner
    return groups[owner_of[role]]


@given(specs())
def test_the_gang_is_the_pod_group(case: tuple[dict[str, Any], str]) -> None:
    app, release = case
    files = render(app, release)
    service = yaml.load(files[f"{app['name']}/stormservice-{app['name']}.yaml"], yaml.CSafeLoader)
    for role in ("prefill", "decode"):
        found = pod(service, role)["metadata"]["annotations"]["huawei.com/schedule_minAvailable"]
        assert found == str(oracle(app, role))


@given(specs())
def test_passes_change_no_input_and_repeat_themselves(case: tuple[dict[str, Any], str]) -> None:
    from stormc.load.document import load_document
    from stormc.model.build import build_app
    from stormc.model.check import check_app
    from stormc.model.layers import Layer, Layered
    from stormc.model.profile import Platform
    from stormc.payload.read import read_payload

    spec, release = case
    document, _ = load_document("specs/app.yaml", text_of(spec).encode())
    assert document is not None
    data, problems = check_app(Layered((Layer(document),), document.data))
    assert data is not None, problems
    profile = builtin_profile(spec["hardware"])
    assert profile is not None
    platform = Platform(mindcluster=mindcluster(release))
    app = build_app(data, "specs/app.yaml", profile, platform, read_payload(), read_engines())
    before = repr(app)
    first, second = run_pipeline(PIPELINE, app, platform), run_pipeline(PIPELINE, app, platform)
    assert first == second
    assert repr(app) == before


@settings(max_examples=3)
@given(st.lists(specs(), min_size=12, max_size=12))
def test_the_hash_seed_changes_no_byte(cases: list[tuple[dict[str, Any], str]]) -> None:
    program = (
        "import sys, json, hashlib; from tests.strategies import render\n"
        "cases = json.load(sys.stdin)\n"
        "print([hashlib.sha256(repr(sorted(render(a, r).items())).encode()).hexdigest() for a, r in cases])"
    )
    digests = [hashlib.sha256(repr(sorted(render(a, r).items())).encode()).hexdigest() for a, r in cases]
    for seed in ("1", "2"):
        made = subprocess.run(
            [sys.executable, "-c", program], input=json.dumps(cases), capture_output=True, text=True, check=True,
            cwd=ROOT, env={**os.environ, "PYTHONHASHSEED": seed},
        )  # fmt: skip
        assert made.stdout.strip() == str(digests)


def test_the_manifest_lookup_of_the_samples_finds_objects() -> None:
    from tests.samples import compiled

    assert manifest(compiled(), "Service", "qwen3-moe-router")["spec"]["type"] == "ClusterIP"
