"""docs/restarts.md, row by row: two rendered trees, compared the way AIBrix compares pod templates."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import pytest
import yaml

from stormc.load.releases import aibrix
from stormc.payload.objects import LAUNCHER_CONFIG, shared_objects
from stormc.payload.read import Payload, read_payload
from stormc.review.effect import What
from stormc.review.effect import effect as predicted
from tests.restart_table import ROLES, documented, rows
from tests.samples import compile_in, merge, outcome, program, repository, spec_text

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


@pytest.mark.parametrize(("base", "change", "expected"), rows())
def test_each_change_of_a_spec_restarts_what_the_table_says(base: str, change: str, expected: tuple[str, ...]) -> None:
    both = yaml.safe_dump(merge(yaml.safe_load(base), yaml.safe_load(change)))
    assert tuple(effect(rendered(base), rendered(both)).values()) == expected


def with_payload(payload: Payload) -> Mapping[str, bytes]:
    files = compile_in(repository({"app.yaml": spec_text()}), payload=payload).files
    assert files is not None
    return files


def test_another_mindcluster_release() -> None:
    found = effect(rendered("{}"), rendered("{}", 'mindcluster: "26.1"'))
    assert tuple(found.values()) == documented("another MindCluster release, 7.3 to 26.1")


def test_another_launcher_restarts_what_the_table_says() -> None:
    payload = read_payload()
    other = payload._replace(launcher=program("another", {"launch.py": "another"}))
    before, after = with_payload(payload), with_payload(other)
    shared = [list(shared_objects(each, "inference", (LAUNCHER_CONFIG,))) for each in (payload, other)]
    assert shared[0] != shared[1] and [m["metadata"]["name"] for m in shared[0]] == [LAUNCHER_CONFIG]
    assert tuple(effect(before, after).values()) == documented("a stormc with another engine launcher")


def test_another_proxy_restarts_what_the_table_says() -> None:
    payload = read_payload()
    before, after = with_payload(payload), with_payload(payload._replace(proxy=payload.proxy._replace(version="x")))
    assert tuple(effect(before, after).values()) == documented("a stormc with another proxy")


def test_another_place_of_the_spec_restarts_what_the_table_says() -> None:
    trees = []
    for path in ("app.yaml", "eu/prod/app.yaml"):
        made = repository({path: spec_text()})
        files = compile_in(made).files
        assert files
        trees.append(files)
    assert tuple(effect(*trees).values()) == documented("the spec file moves to another directory")


def manifests(overlay: str) -> list[Any]:
    return [yaml.safe_load(text) for name, text in rendered(overlay).items() if not name.endswith("kustomization.yaml")]


SINGLE, PAIR, FOUR = (f"decode: {{podGroupSize: {size}, dataParallel: {16 * size}}}" for size in (1, 2, 4))
LEFT = {
    "restart": What.RECREATED, "restart, all at once": What.RECREATED,
    "new pods; the old ones run on, hold their NPUs and belong to nothing": What.ORPHANED,
    "two controllers delete and create the same pods, without an end": What.CANNOT_CHANGE,
}  # fmt: skip


@pytest.mark.parametrize(("column", "release"), [(0, "v0.5.0"), (0, "v0.6.0"), (1, "v0.7.0")])
@pytest.mark.parametrize(
    ("change", "before", "after"),
    [
        ("podGroupSize 2 → 4", PAIR, FOUR), ("podGroupSize 1 → 2", SINGLE, PAIR), ("podGroupSize 2 → 1", PAIR, SINGLE),
    ],
)  # fmt: skip
def test_another_size_of_instances_does_what_the_table_says(
    change: str, before: str, after: str, column: int, release: str
) -> None:
    told = documented(change)[column]
    seen = predicted(manifests(before), manifests(after), (aibrix(release), aibrix(release)))
    (decode,) = (role for role in seen.roles if role.role == "decode")
    assert decode.what == (LEFT[told],)
    assert decode.at_once == ("at once" in told or LEFT[told] is not What.RECREATED)


@pytest.mark.parametrize(
    ("change", "releases"),
    [("AIBrix v0.5.0 → v0.6.0 or later", ("v0.5.0", "v0.7.0")), ("AIBrix v0.6.0 → v0.7.0", ("v0.6.0", "v0.7.0"))],
)
def test_another_release_of_aibrix_restarts_what_the_table_says(change: str, releases: tuple[str, str]) -> None:
    same = manifests("{}")
    before, after = map(aibrix, releases)
    effects = predicted(same, same, (before, after)).roles
    seen = {role.role: "–" if role.what == (What.NOTHING,) else "restart" for role in effects}
    assert tuple(seen[role] for role in ROLES) == documented(change)


def test_the_oracle_sees_what_matters_and_only_that() -> None:
    base = rendered("{}")
    assert effect(base, base) == dict.fromkeys(ROLES, "–")
    (name,) = [name for name in base if "/stormservice-" in name]
    trailing = {**base, name: base[name].replace(b"- --host=0.0.0.0", b'- "--host=0.0.0.0 "')}
    assert effect(base, trailing)["prefill"] == "restart"
    zero = re.sub(rb"( +)- name: shm\n( +mountPath)", rb"\1- name: shm\n\1  readOnly: false\n\2", base[name])
    assert zero != base[name]
    assert effect(base, {**base, name: zero})["prefill"] == "–"
