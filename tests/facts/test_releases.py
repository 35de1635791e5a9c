"""Facts of releases: complete, with a source each, and ordered by number."""

from __future__ import annotations

import re
from typing import NamedTuple

import pytest

from stormc.cluster.preflight import _nearest
from stormc.compile.compilation import Stage
from stormc.facts import limits
from stormc.facts.known_keys import TABLES
from stormc.facts.scheduling import SCHEDULE_POLICIES
from stormc.finding import Mark, Path
from stormc.load.releases import FOLDER, aibrix, mindcluster, version
from stormc.model.profile import Platform
from stormc.record import replace
from stormc.reference.pages import fields
from stormc.rules import all_rules, load
from stormc.rules.storm_service import StormService
from tests.samples import app, compilation, storm

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


def test_releases_differ_in_what_their_sources_say() -> None:
    assert [mindcluster(r).labels_nodes for r in ("7.3", "26.0", "26.1")] == [True, True, False]
    assert [aibrix(r).sorts_environment for r in ("v0.5.0", "v0.6.0", "v0.7.0", "v0.8.0")] == [True, True, False, False]
    readers = ("chip8-node8-sp", "chip8-node8-ra64-sp")
    assert [mindcluster(r).infer_service_policies for r in ("7.3", "26.0", "26.1")] == [(), (), readers]
    groups = [aibrix(r).gateway_takes_whole_groups for r in ("v0.5.0", "v0.6.0", "v0.7.0", "v0.8.0")]
    assert groups == [True, True, False, False]


def test_every_policy_of_a_release_is_one_of_the_schedulers() -> None:
    for release in limits.MINDCLUSTER_RELEASES:
        assert set(mindcluster(release).infer_service_policies) <= set(SCHEDULE_POLICIES)


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


class Judged(NamedTuple):
    """Rule, field and place of every finding on an app, and the app's files."""

    findings: list[tuple[str, Path, Mark]]
    files: object


def judge(text: str, platform: Platform) -> Judged:
    made = compilation(text, platform, Stage.FILES)
    return Judged([(found.rule, found.path, found.mark) for found in made.findings], made.files)


EXAMPLES = [fields(example) for rule in all_rules() for example in (*rule.bad, *rule.good) if not example.beside]


@pytest.mark.parametrize("known", limits.AIBRIX_RELEASES)
def test_an_imaginary_release_of_aibrix_changes_what_its_data_says(known: str) -> None:
    data = aibrix(known)
    plain, later = (replace(Platform(), aibrix=facts) for facts in (data, data._replace(release="v0.10.0")))
    for text in EXAMPLES[:: len(limits.AIBRIX_RELEASES)]:
        assert judge(text, later) == judge(text, plain), text


def test_an_imaginary_release_of_mindcluster_changes_what_its_data_says() -> None:
    """And lifts the warnings about keys that are read from a release on that lies between."""
    data = mindcluster(limits.MINDCLUSTER_RELEASES[-1])
    entries = [item for table in TABLES.values() for item in table.items()]
    new_keys = {key for key, entry in entries if entry.since and version(entry.since) > version(data.release)}
    plain, later = (replace(Platform(), mindcluster=facts) for facts in (data, data._replace(release="27.0")))
    for text in EXAMPLES:
        expected = judge(text, plain)
        findings = [found for found in expected.findings if found[1][-1:] not in {(key,) for key in new_keys}]
        assert judge(text, later) == expected._replace(findings=findings), text
