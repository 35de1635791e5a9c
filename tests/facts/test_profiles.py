"""The shipped hardware profiles: every file is a valid profile, and its facts are those of the vendor's tables."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from stormc.facts import scheduling
from stormc.finding import Finding
from stormc.load.document import load_document
from stormc.model.check import check_profile
from stormc.model.layers import Layer, merge_layers
from stormc.model.profile import Profile, build_profile

DIRECTORY = Path(__file__).parents[2] / "compiler/stormc/facts/hardware"
FILES = sorted(DIRECTORY.glob("*.yaml"))
OF_STORMC = ("apiVersion", "kind", "name")
"""Fields that say which file this is; every other one states a fact and names who says so."""

# Written out by hand from MindCluster docs 06_api/15_yaml_configuration.md and 01_introduction/03_supported_product_
# models_and_os.md: name, NPUs per node, accelerator-type, schedule_policy, resource, first release, in the guide.
TABLE = [
    ("a200i-a2-box", 8, "module-910b-8", "chip8-node8", "huawei.com/Ascend910", "7.3", False),
    ("a200t-a3-box8", 16, "module-a3-16", "chip2-node16", "huawei.com/Ascend910", "7.3", False),
    ("atlas-200i-a2-box16", 16, "module-910b-16", "chip8-node16", "huawei.com/Ascend910", "7.3", False),
    ("atlas-200t-a2-box16", 16, "module-910b-16", "chip8-node16", "huawei.com/Ascend910", "7.3", False),
    ("atlas-800i-a2", 8, "module-910b-8", "chip8-node8", "huawei.com/Ascend910", "7.3", True),
    ("atlas-800i-a3", 16, "module-a3-16", "chip2-node16", "huawei.com/Ascend910", "7.3", True),
    ("atlas-800i-a3-sp", 16, "module-a3-16", "chip2-node16-sp", "huawei.com/Ascend910", "26.1", True),
    ("atlas-800t-a2", 8, "module-910b-8", "chip8-node8", "huawei.com/Ascend910", "7.3", False),
    ("atlas-800t-a3", 16, "module-a3-16", "chip2-node16", "huawei.com/Ascend910", "7.3", False),
    ("atlas-850", 8, "850-Atlas-8p-8", "chip8-node8", "huawei.com/npu", "26.0", False),
    ("atlas-850-superpod", 8, "850-SuperPod-Atlas-8", "chip8-node8-sp", "huawei.com/npu", "26.0", False),
    ("atlas-850e", 8, "850-SuperPod-Atlas-8", "chip8-node8-sp", "huawei.com/npu", "26.0", False),
    ("atlas-900-a2-pod", 8, "module-910b-8", "chip8-node8", "huawei.com/Ascend910", "7.3", False),
    ("atlas-900-a3-superpod", 16, "module-a3-16-super-pod", "chip2-node16-sp", "huawei.com/Ascend910", "7.3", True),
    ("atlas-9000-a3", 8, "module-a3-8-super-pod", "chip2-node8", "huawei.com/Ascend910", "26.1", False),
    ("atlas-9000-a3-superpod", 8, "module-a3-8-super-pod", "chip2-node8-sp", "huawei.com/Ascend910", "7.3", False),
    ("atlas-950-superpod", 8, "950-SuperPod-Atlas-8", "chip8-node8-ra64-sp", "huawei.com/npu", "26.0", False),
]
X86 = {"a200i-a2-box", "a200t-a3-box8", "atlas-200i-a2-box16", "atlas-200t-a2-box16"}
UNNAMED_ARCH = {"atlas-9000-a3", "atlas-9000-a3-superpod"}
MEMORY = {
    "atlas-800i-a2": 64, "atlas-800t-a2": 64, "atlas-900-a2-pod": 64, "atlas-800i-a3": 64, "atlas-800i-a3-sp": 64,
    "atlas-800t-a3": 64, "atlas-900-a3-superpod": 64, "atlas-950-superpod": 96,
}  # fmt: skip
LEGAL = {
    "chip8-node8": set(range(1, 9)),
    "chip8-node16": set(range(1, 17)) - {9, 11, 13, 15},
    "chip2-node16": {1, *range(2, 17, 2)},
    "chip2-node16-sp": {1, *range(2, 17, 2)},
    "chip2-node8-sp": {1, 2, 4, 6, 8},
    "chip2-node8": {1, 2, 4, 6, 8},
    "chip8-node8-sp": set(range(1, 9)),
    "chip8-node8-ra64-sp": set(range(1, 9)),
}
"""What the scheduler's handler of the policy accepts (ascend-for-volcano, see the sources in the files)."""


def _load(file: Path) -> tuple[Profile | None, list[Finding]]:
    document, findings = load_document(file.name, file.read_bytes())
    if document is None or findings:
        return None, findings
    data, findings = check_profile(merge_layers([Layer(document)]))
    return (build_profile(data) if data else None), findings


def _profile(name: str) -> Profile:
    profile, findings = _load(DIRECTORY / f"{name}.yaml")
    assert profile is not None, findings
    return profile


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_file_is_a_valid_profile_of_its_own_name(file: Path) -> None:
    profile, findings = _load(file)
    assert findings == []
    assert profile is not None
    assert profile.name == file.stem


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_every_fact_names_its_source(file: Path) -> None:
    lines = file.read_text(encoding="utf-8").splitlines()
    assert re.match(r"# \S.*: \S", lines[0]), "the first line describes the product"
    for before, line in zip(["", *lines], lines, strict=False):
        key = line.split(":")[0]
        if line.startswith("#") or key in OF_STORMC:
            continue
        assert "  # source: " in line or before.startswith("# source: "), line


@pytest.mark.parametrize("row", TABLE, ids=lambda row: row[0])
def test_profiles_agree_with_the_vendors_tables(row: tuple[str, int, str, str, str, str, bool]) -> None:
    p = _profile(row[0])
    assert (p.name, p.npus, p.accelerator_type, p.schedule_policy, p.resource, p.mindcluster, p.documented) == row


def test_the_table_has_every_file() -> None:
    assert {file.stem for file in FILES} == {row[0] for row in TABLE}


@pytest.mark.parametrize("name", [row[0] for row in TABLE])
def test_facts_that_follow_from_others_agree_with_them(name: str) -> None:
    p = _profile(name)
    assert p.kv_port == 20000 + 1000 * p.npus
    assert p.super_pod == p.schedule_policy.endswith("-sp")
    assert set(p.pod_npus) == LEGAL[p.schedule_policy]
    assert list(p.pod_npus) == sorted(p.pod_npus)
    assert p.npus == max(p.pod_npus)
    assert p.host_arch == (None if name in UNNAMED_ARCH else "x86" if name in X86 else "arm")
    assert p.memory_gib == MEMORY.get(name)


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("schedulePolicy: chip8-node8 ", "schedulePolicy: chip8-node ", "E205 schedulePolicy 'chip8-node' is not"),
        ("acceleratorType: module-910b-8", "acceleratorType: module 910b", "E205 acceleratorType 'module 910b' is not"),
        ("superPod: false", "superpod: false", "E201 unknown key superpod"),
    ],
)
def test_a_mistake_in_a_users_profile_is_one_finding(old: str, new: str, told: str) -> None:
    text = (DIRECTORY / "atlas-800i-a2.yaml").read_text(encoding="utf-8")
    assert old in text
    document, _ = load_document("lab.yaml", text.replace(old, new).encode())
    assert document is not None
    _, (finding,) = check_profile(merge_layers([Layer(document)]))
    assert f"{finding.rule} {finding.message}".startswith(told)


def test_tables_about_policies_and_node_labels_name_known_ones() -> None:
    assert {*scheduling.SUPER_POD_POLICIES, *scheduling.MODULE_POLICIES} <= set(scheduling.SCHEDULE_POLICIES)
    assert scheduling.IMAGE_SUFFIXES.keys() | {"card", "half", "module"} == set(scheduling.ACCELERATOR_TYPES)
    assert len(set(scheduling.ACCELERATOR_TYPES)) == len(scheduling.ACCELERATOR_TYPES)
