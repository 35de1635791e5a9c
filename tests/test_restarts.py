"""docs/restarts.md, row by row: two rendered trees, compared the way AIBrix compares pod templates."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from stormc.payload.objects import LAUNCHER_CONFIG, shared_objects
from stormc.payload.read import Payload, read_payload
from tests.samples import compile_in, merge, outcome, program, repository, spec_text

DOC = (Path(__file__).parent.parent / "docs/restarts.md").read_text(encoding="utf-8")
ROLES = ("prefill", "decode", "routing")
POINTERS = {
    "emptyDir", "securityContext", "enableServiceLinks", "automountServiceAccountToken", "allowPrivilegeEscalation",
    "readOnlyRootFilesystem",
}  # fmt: skip


def written_back(value: Any) -> Any:
    """A value as Go structs write it back: what is zero or empty is gone, unless a pointer held it.

    Independent of the compiler on purpose; AIBrix hashes the template that comes out of this round trip.
    """
    if isinstance(value, Mapping):
        kept = {key: written_back(item) for key, item in value.items()}
        return {key: item for key, item in kept.items() if key in POINTERS or item not in ("", 0, False, [], {})}
    if isinstance(value, list):
        return [written_back(item) for item in value]
    return value


def effect(before: Mapping[str, bytes], after: Mapping[str, bytes]) -> dict[str, str]:
    """What happens to the pods of each role when one tree replaces the other under InPlaceUpdate."""
    old, new = (_roles(files) for files in (before, after))
    assert old.keys() == new.keys() == set(ROLES)
    result = {}
    for name in ROLES:
        words = []
        if written_back(old[name]["template"]) != written_back(new[name]["template"]):
            words.append("restart")
        more = new[name]["replicas"] - old[name]["replicas"]
        if more:
            words.append(f"+{more}" if more > 0 else f"−{-more}")
        result[name] = " ".join(words) or "–"
    return result


def _roles(files: Mapping[str, bytes]) -> dict[str, Any]:
    (storm,) = [yaml.safe_load(text) for name, text in files.items() if "/stormservice-" in name]
    assert storm["spec"]["updateStrategy"] == {"type": "InPlaceUpdate"}
    return {role["name"]: role for role in storm["spec"]["template"]["spec"]["roles"]}


def rendered(overlay: str, platform: str = "") -> Mapping[str, bytes]:
    made = outcome(overlay, platform)
    assert made.files, made.findings
    return made.files


def rows() -> list[tuple[str, str, tuple[str, ...]]]:
    """(base, change, effects) of every row of the document whose change is a piece of a spec."""
    found = []
    base = ""
    for line in DOC.splitlines():
        cells = [cell.strip() for cell in line.strip().strip("|").split(" | ")]
        if line.startswith("| Change"):
            base = (re.findall(r"with `(.*)`", cells[0]) or ["{}"])[0]
        elif line.startswith("| `"):
            found.append((base, cells[0].strip("`"), tuple(cells[1:])))
    return found


@pytest.mark.parametrize(("base", "change", "expected"), rows())
def test_a_change_of_a_spec(base: str, change: str, expected: tuple[str, ...]) -> None:
    both = yaml.safe_dump(merge(yaml.safe_load(base), yaml.safe_load(change)))
    assert tuple(effect(rendered(base), rendered(both)).values()) == expected


def documented(change: str) -> tuple[str, ...]:
    """The effects of a row that is told in words."""
    (line,) = [line for line in DOC.splitlines() if line.startswith(f"| {change} |")]
    return tuple(cell.strip() for cell in line.strip("|").split("|")[1:])


def with_payload(payload: Payload) -> Mapping[str, bytes]:
    files = compile_in(repository({"app.yaml": spec_text()}), payload=payload).files
    assert files is not None
    return files


def test_another_mindcluster_release() -> None:
    found = effect(rendered("{}"), rendered("{}", 'mindcluster: "26.1"'))
    assert tuple(found.values()) == documented("another MindCluster release, 7.3 to 26.1")


def test_another_launcher() -> None:
    payload = read_payload()
    other = payload._replace(launcher=program("another", {"launch.py": "another"}))
    before, after = with_payload(payload), with_payload(other)
    shared = [list(shared_objects(each, "inference", (LAUNCHER_CONFIG,))) for each in (payload, other)]
    assert shared[0] != shared[1] and [m["metadata"]["name"] for m in shared[0]] == [LAUNCHER_CONFIG]
    assert tuple(effect(before, after).values()) == documented("a stormc with another engine launcher")


def test_another_proxy() -> None:
    payload = read_payload()
    before, after = with_payload(payload), with_payload(payload._replace(proxy=payload.proxy._replace(version="x")))
    assert tuple(effect(before, after).values()) == documented("a stormc with another proxy")


def test_another_place_of_the_spec() -> None:
    trees = []
    for path in ("app.yaml", "eu/prod/app.yaml"):
        made = repository({path: spec_text()})
        files = compile_in(made).files
        assert files
        trees.append(files)
    assert tuple(effect(*trees).values()) == documented("the spec file moves to another directory")


def test_the_oracle_sees_what_matters_and_only_that() -> None:
    base = rendered("{}")
    assert effect(base, base) == dict.fromkeys(ROLES, "–")
    (name,) = [name for name in base if "/stormservice-" in name]
    trailing = {**base, name: base[name].replace(b"- --host=0.0.0.0", b'- "--host=0.0.0.0 "')}
    assert effect(base, trailing)["prefill"] == "restart"
    zero = re.sub(rb"( +)- name: shm\n( +mountPath)", rb"\1- name: shm\n\1  readOnly: false\n\2", base[name])
    assert zero != base[name]
    assert effect(base, {**base, name: zero})["prefill"] == "–"
