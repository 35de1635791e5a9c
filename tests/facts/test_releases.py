"""Facts of releases: complete, with a source each, and ordered by number."""

from __future__ import annotations

import re

import pytest

from stormc.cluster.preflight import _nearest
from stormc.facts import limits
from stormc.load.releases import FOLDER, aibrix, mindcluster, version
from stormc.model.profile import Platform
from stormc.record import replace
from stormc.rules import load
from stormc.rules.storm_service import StormService
from tests.samples import app, storm

RELEASES = [
    *(("mindcluster", r) for r in limits.MINDCLUSTER_RELEASES),
    *(("aibrix", r) for r in limits.AIBRIX_RELEASES),
]


def test_every_release_that_a_platform_may_name_has_a_file_and_no_other() -> None:
    assert sorted(f"{product}-{release}.yaml" for product, release in RELEASES) == sorted(
        file.name for file in FOLDER.iterdir()
    )


@pytest.mark.parametrize(("product", "release"), RELEASES)
def test_every_fact_has_a_source(product: str, release: str) -> None:
    lines = (FOLDER / f"{product}-{release}.yaml").read_text(encoding="utf-8").splitlines()
    facts = [number for number, line in enumerate(lines) if re.match(r"(?!release)\w+:", line)]
    assert facts and all(lines[number - 1].startswith("# source: ") for number in facts)


def test_releases_are_in_order() -> None:
    for releases in (limits.MINDCLUSTER_RELEASES, limits.AIBRIX_RELEASES):
        assert list(releases) == sorted(releases, key=version)
    assert version("v0.7.0") < version("v0.10.0") < version("v1.0.0") and version("7.3") < version("26.0")


def test_what_differs() -> None:
    assert [mindcluster(r).labels_nodes for r in ("7.3", "26.0", "26.1")] == [True, True, False]
    assert [aibrix(r).sorts_environment for r in ("v0.5.0", "v0.6.0", "v0.7.0", "v0.8.0")] == [True, True, False, False]
    readers = ("chip8-node8-sp", "chip8-node8-ra64-sp")
    assert [mindcluster(r).infer_service_policies for r in ("7.3", "26.0", "26.1")] == [(), (), readers]
    groups = [aibrix(r).gateway_takes_whole_groups for r in ("v0.5.0", "v0.6.0", "v0.7.0", "v0.8.0")]
    assert groups == [True, True, False, False]


def test_every_policy_of_a_release_is_one_of_the_schedulers() -> None:
    for release in limits.MINDCLUSTER_RELEASES:
        assert set(mindcluster(release).infer_service_policies) <= set(limits.SCHEDULE_POLICIES)


def test_an_imaginary_release_is_newer_than_those_before_it() -> None:
    known = (*limits.AIBRIX_RELEASES, "v0.10.0")
    assert [_nearest(running, known) for running in ("v0.10.2", "v0.9.0", "v0.7.1", "v0.4.0")] == [
        "v0.10.0", "v0.8.0", "v0.7.0", ""
    ]  # fmt: skip
    assert _nearest("v0.10.0", limits.AIBRIX_RELEASES) == "v0.8.0"


@pytest.mark.parametrize("variable", ["AAA: $(ROLE_NAME)", "VLLM_HOST_IP: $(POD_IP)", "HCCL_IF_IP: $(POD_IP)"])
def test_an_imaginary_release_is_judged_by_its_facts(variable: str) -> None:
    spec = f"decode: {{env: {{{variable}}}}}"
    newest = replace(Platform(), aibrix=aibrix("v0.7.0"))
    imaginary = replace(Platform(), aibrix=aibrix("v0.7.0")._replace(release="v0.10.0"))
    check = load("engine.references").check
    violations = [list(check(StormService(app(spec, p), p, storm(spec, p)))) for p in (newest, imaginary)]
    assert violations[0] == violations[1]
