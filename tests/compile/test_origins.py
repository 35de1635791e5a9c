"""Every value of every spec that the repository has resolves to an origin, which names a spec field or a fact."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from stormc.compile.compilation import Compilation
from stormc.load.sources import read_sources
from stormc.model.app import Ref
from stormc.passes import PIPELINE
from stormc.passes.edit import REMOVED
from stormc.passes.origins import OBJECT, leaves
from stormc.payload.read import read_payload
from stormc.reference.pages import fields
from stormc.repository.repository import open_repository
from stormc.rules import all_rules
from tests.golden import CASES
from tests.samples import compile_in, repository, spec_text

ROOT = Path(__file__).parent.parent.parent
DIRECTORIES = [ROOT / "specs", *(path / "specs" for path in sorted(CASES.iterdir()) if path.is_dir())]
WRITERS = {step.name for step in PIPELINE} | {OBJECT}
STORM = Ref("StormService", "qwen3-moe")
ROLES = ("spec", "template", "spec", "roles")


def check(made: Compilation) -> None:
    assert made.compiled is not None
    origins = made.origins()
    for manifest in made.compiled.manifests:
        ref = Ref(manifest["kind"], manifest["metadata"]["name"])
        there = dict(leaves(ref.kind, manifest))
        present = {leaf: origin for of, leaf, origin in origins.present() if of == ref}
        assert present.keys() == there.keys()
        for leaf, origin in present.items():
            because = origin[-1].because
            assert origin[-1].value == there[leaf], leaf
            assert {written.writer for written in origin} <= WRITERS
            assert because.fields or because.fact, leaf
            assert because.source or because.fields or because.fact.startswith("platform."), leaf


def compilations(directory: Path) -> Iterator[Compilation]:
    opened = open_repository(read_sources(directory))
    yield from (opened.compile(source, read_payload()) for source in opened.apps)


@pytest.mark.parametrize("directory", DIRECTORIES, ids=lambda path: path.parent.name)
def test_every_value_of_the_example_and_golden_specs(directory: Path) -> None:
    compiled = [made for made in compilations(directory) if made.compiled is not None]
    assert compiled
    for made in compiled:
        check(made)


def test_every_value_of_the_examples_of_rules() -> None:
    for rule in all_rules():
        for example in (*rule.bad, *rule.good, *rule.instead):
            files = {"app.yaml": spec_text(fields(example))}
            if example.platform:
                head = {"apiVersion": "stormc.dev/v1", "kind": "Platform"}
                files["platform.yaml"] = yaml.safe_dump({**head, **yaml.safe_load(example.platform)})
            result = compile_in(repository(files))
            if result.compiled is not None:
                check(result)


def test_a_field_that_is_removed_keeps_its_writers() -> None:
    patch = "{spec: {template: {spec: {roles: [{name: prefill, template: {spec: {enableServiceLinks: null}}}]}}}}"
    text = spec_text(f"overrides: [{{target: StormService, patch: {patch}, reason: r, owner: o}}]")
    result = compile_in(repository({"app.yaml": text}))
    origin = result.origins().of(STORM, (*ROLES, ("prefill",), "template", "spec", "enableServiceLinks"))
    assert [(written.writer, written.value) for written in origin] == [("workload", False), ("overrides", REMOVED)]


CONTAINER = (*ROLES, ("prefill",), "template", "spec", "containers", ("prefill",))
ROLE_IMAGE, APP_IMAGE = ("prefill", "image"), ("image",)
NPUS = ("resources", "limits", "huawei.com/Ascend910")
FIRST = [
    ("prefill: {image: 'own:1'}", ("image",), (ROLE_IMAGE, APP_IMAGE), ""),
    ("{}", ("image",), (APP_IMAGE, ROLE_IMAGE), ""),
    ("{}", NPUS, (("hardware",), ("prefill", "npus")), "hardware.npus"),
    ("prefill: {npus: 8}", NPUS, (("prefill", "npus"), ("hardware",)), ""),
    ("{}", ("startupProbe", "failureThreshold"), (("engine", "startupSeconds"),), "default"),
    ("engine: {startupSeconds: 60}", ("startupProbe", "failureThreshold"), (("engine", "startupSeconds"),), ""),
]


@pytest.mark.parametrize(("spec", "leaf", "named", "fact"), FIRST)
def test_what_decided_stands_first(
    spec: str, leaf: tuple[str, ...], named: tuple[tuple[str, ...], ...], fact: str
) -> None:
    result = compile_in(repository({"app.yaml": spec_text(spec)}))
    (written,) = result.origins().of(STORM, (*CONTAINER, *leaf))
    assert (written.because.fields, written.because.fact) == (named, fact)


def test_a_flag_of_the_user_keeps_what_it_replaced() -> None:
    result = compile_in(repository({"app.yaml": spec_text("prefill: {engineArgs: {host: '::', port: null}}")}))
    host = result.origins().of(STORM, (*CONTAINER, "args", ("--host",)))
    assert [written.value for written in host] == ["--host=0.0.0.0", "--host=::"]
    assert host[0].because.fact == "default"
    assert host[-1].because.fields[0] == ("prefill", "engineArgs", "host")
    port = result.origins().of(STORM, (*CONTAINER, "args", ("--port",)))
    assert [written.value for written in port] == ["--port=8080", REMOVED]


def test_a_flag_that_both_roles_share_is_named_as_it_is_spelt() -> None:
    result = compile_in(repository({"app.yaml": spec_text("engine: {args: {max_model_len: 1024}}")}))
    (written,) = result.origins().of(STORM, (*CONTAINER, "args", ("--max-model-len",)))
    shared, own = ("engine", "args", "max_model_len"), ("prefill", "engineArgs", "max-model-len")
    assert (written.because.fields, written.because.fact) == ((shared, own), "engine.0.12.flags")


def test_fields_of_platform_files_are_fields_of_the_spec() -> None:
    platform = "apiVersion: stormc.dev/v1\nkind: Platform\ndefaults: {faults: {retries: 3}}\n"
    result = compile_in(repository({"app.yaml": spec_text(), "platform.yaml": platform}))
    assert result.layered is not None
    leaf = (*ROLES, ("prefill",), "template", "metadata", "labels", "fault-retry-times")
    (written,) = result.origins().of(STORM, leaf)
    assert written.because.fields == (("faults", "retries"),)
    assert result.layered.locate(written.because.fields[0])[0] == "specs/platform.yaml"


def test_no_pass_is_idle() -> None:
    override = "[{target: Service, patch: {spec: {type: NodePort}}, reason: r, owner: o}]"
    text = spec_text(f"{{networkPolicy: true, hostNetwork: true, overrides: {override}}}")
    origins = compile_in(repository({"app.yaml": text})).origins()
    assert {written.writer for _, _, origin in origins.present() for written in origin} == WRITERS
