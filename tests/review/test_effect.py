"""What a change does to pods, held against docs/restarts.md, whose rows were watched on real controllers."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

from stormc.load.releases import AIBrix, aibrix
from stormc.review.effect import AppEffect, Keeps, What, effect
from stormc.review.template import Change, Field, changes, flags
from stormc.review.words import app_lines, role_line
from tests.samples import compiled, merge

DOC = (Path(__file__).parents[2] / "docs/restarts.md").read_text(encoding="utf-8")
WORDS = {
    What.NOTHING: "", What.RELOADED: "", What.RECREATED: "restart", What.ROUTING_RESTARTS: "restart", What.SCALED: "",
}  # fmt: skip


def manifests(*overlays: str) -> Sequence[Any]:
    whole: dict[str, Any] = {}
    for overlay in overlays:
        whole = merge(whole, yaml.safe_load(overlay) or {})
    return compiled(yaml.safe_dump(whole)).manifests


def rows() -> list[tuple[str, str, tuple[str, ...]]]:
    """(base, change, cells) of every row of the document whose change is a piece of a spec."""
    found, base = [], ""
    for line in DOC.splitlines():
        cells = [cell.strip() for cell in line.strip().strip("|").split(" | ")]
        if line.startswith("| Change"):
            base = (re.findall(r"with `(.*)`", cells[0]) or ["{}"])[0]
        elif line.startswith("| `"):
            found.append((base, cells[0].strip("`"), tuple(cells[1:4])))
    return found


def cells(seen: AppEffect) -> tuple[str, ...]:
    """The three cells of a row, from the effect."""
    made = []
    for name in ("prefill", "decode", "routing"):
        role = next(role for role in seen.roles if role.role == name)
        more = role.instances[1] - role.instances[0]
        words = [WORDS[what] for what in role.what]
        made.append(" ".join(filter(None, [*words, f"+{more}" if more > 0 else f"−{-more}" if more else ""])) or "–")
    return tuple(made)


@pytest.mark.parametrize(("base", "change", "expected"), rows())
def test_every_row_of_the_restart_table_is_predicted(base: str, change: str, expected: tuple[str, ...]) -> None:
    assert cells(effect(manifests(base), manifests(base, change))) == expected


def roles(seen: AppEffect) -> dict[str, tuple[tuple[What, ...], int, int, int, int, int]]:
    return {r.role: (r.what, r.recreated, r.added, r.removed, r.orphaned, r.npus) for r in seen.roles}


def test_no_change_is_nothing() -> None:
    seen = effect(manifests(), manifests())
    assert {role.what for role in seen.roles} == {(What.NOTHING,)}
    assert not seen.restarts_npus and seen.keeps is None
    assert app_lines("inference/a", seen) == ["inference/a: no pod restarts"]


def test_a_new_and_a_removed_service() -> None:
    created, deleted = effect(None, manifests()), effect(manifests(), None)
    assert roles(created)["decode"] == ((What.CREATED,), 0, 2, 0, 0, 32)
    assert roles(deleted)["prefill"] == ((What.DELETED,), 0, 0, 2, 0, 32)
    assert (created.restarts_npus, deleted.restarts_npus) == (False, True)


SHARED = "decode: {podGroupSize: 1, dataParallel: 16}"


def test_the_shared_gang_size_restarts_both_roles_and_has_a_way_round() -> None:
    seen = effect(manifests(SHARED), manifests(SHARED, "decode: {replicas: 3}"))
    assert roles(seen)["prefill"][:2] == ((What.RECREATED,), 2)
    assert roles(seen)["decode"] == ((What.RECREATED, What.SCALED), 1, 2, 0, 0, 48)
    assert seen.keeps == Keeps(("prefill", "decode"), 3)
    (prefill,) = [role for role in seen.roles if role.role == "prefill"]
    assert prefill.changes == (Change(Field.GANG_SIZE, "gang size", "3", "5"),)
    assert (prefill.away, prefill.minutes, prefill.gangs) == (0.5, 60, 1)
    told = app_lines("inference/a", seen)
    assert any("gang size 3 → 5" in line and "50 % of its instances away" in line for line in told)
    assert "minAvailable: 3 in prefill and decode" in told[-1]


def test_no_way_round_where_more_than_the_gang_size_changes() -> None:
    seen = effect(manifests(SHARED), manifests(SHARED, "decode: {replicas: 3}\nport: 9000"))
    assert seen.keeps is None


GROUPED = "decode: {podGroupSize: 4, dataParallel: 64}"
V05, V06, V07 = (aibrix(release) for release in ("v0.5.0", "v0.6.0", "v0.7.0"))
IMAGINARY = V07._replace(release="v0.10.0")
SIZES = [
    # sizes before and after, AIBrix, what, recreated, orphaned
    ("", GROUPED, V05, What.RECREATED, 4, 0),
    (SHARED, "decode: {podGroupSize: 2, dataParallel: 32}", V05, What.ORPHANED, 2, 1),
    (SHARED, "decode: {podGroupSize: 2, dataParallel: 32}", V07, What.RECREATED, 2, 0),
    ("", SHARED, V05, What.CANNOT_CHANGE, 1, 2),
    ("", SHARED, IMAGINARY, What.RECREATED, 1, 0),
]


@pytest.mark.parametrize(("before", "after", "release", "what", "recreated", "orphaned"), SIZES)
def test_another_pod_group_size_does_what_the_release_does(
    before: str, after: str, release: AIBrix, what: What, recreated: int, orphaned: int
) -> None:
    seen = effect(manifests(before), manifests(before, after), (release, release))
    (decode,) = [role for role in seen.roles if role.role == "decode"]
    assert (decode.what, decode.recreated, decode.orphaned) == ((what,), recreated, orphaned)
    assert seen.restarts_npus


def test_fewer_replicas_remove_no_pod_of_another_shape() -> None:
    """Watched on v0.6.0 by `make e2e`: who makes groups does not see the single pods that were there."""
    before = manifests(SHARED, "decode: {replicas: 2}")
    after = manifests(SHARED, "decode: {replicas: 1, podGroupSize: 4, dataParallel: 64}")
    seen = effect(before, after, (V06, V06))
    assert roles(seen)["decode"] == ((What.ORPHANED,), 4, 0, 0, 2, 96)


def test_instances_that_become_pods_of_their_own_go_all_at_once_and_before_the_others() -> None:
    """Watched on v0.7.0 by `make e2e`: AIBrix cleans up what it makes in another way before it updates roles."""
    change = "{image: 'vllm-ascend:v0.13.0', decode: {podGroupSize: 1, dataParallel: 16}}"
    before = manifests("decode: {replicas: 3}")
    seen = effect(before, manifests("decode: {replicas: 3}", change), (V07, V07))
    assert [(role.role, role.at_once) for role in seen.roles][:2] == [("decode", True), ("prefill", False)]
    assert (seen.roles[0].away, seen.roles[0].minutes) == (1.0, 30)
    assert "3 pods recreated, all at once" in role_line(seen.roles[0])


def test_another_length_of_the_hash_replaces_every_pod() -> None:
    same = manifests()
    assert {role.worst for role in effect(same, same, (V05, V06)).roles} == {What.RECREATED}
    assert {role.worst for role in effect(same, same, (V06, V05)).roles} == {What.RECREATED}
    assert {role.worst for role in effect(same, same, (V06, V07)).roles} == {What.NOTHING}
    assert {role.worst for role in effect(same, same, (V07, IMAGINARY)).roles} == {What.NOTHING}


def edited(change: Any) -> list[Any]:
    """The sample's manifests with an edit of the StormService's template spec."""
    made = yaml.safe_load(yaml.safe_dump(list(manifests())))
    change(next(m for m in made if m["kind"] == "StormService")["spec"])
    return list(made)


def test_a_removed_role_is_orphaned_and_a_new_one_created() -> None:
    renamed = edited(lambda spec: spec["template"]["spec"]["roles"][0].update(name="prefiller"))
    seen = effect(manifests(), renamed)
    assert roles(seen)["prefill"] == ((What.ORPHANED,), 0, 0, 0, 2, 32)
    assert roles(seen)["prefiller"][0] == (What.CREATED,)


def test_another_selector_and_another_strategy() -> None:
    selected = edited(lambda spec: spec["selector"]["matchLabels"].update({"stormc.dev/app": "x"}))
    assert {role.worst for role in effect(manifests(), selected).roles} == {What.CANNOT_CHANGE}

    def rolling(spec: Any) -> None:
        spec["updateStrategy"]["type"] = "RollingUpdate"
        spec["template"]["spec"]["roles"][1]["replicas"] = 2

    assert {role.worst for role in effect(manifests(), edited(rolling)).roles} == {What.NEW_ROLE_SET}


def test_a_proxy_setting_reloads_the_routing_role() -> None:
    seen = effect(manifests(), manifests("proxy: {maxFailures: 5}"))
    assert roles(seen)["routing"][0] == (What.RELOADED,)
    assert app_lines("a/b", seen) == ["a/b: configuration reloaded", "  routing: configuration reloaded"]


def test_measured_load_minutes_and_several_at_a_time() -> None:
    def two(spec: Any) -> None:
        spec["template"]["spec"]["roles"][0]["updateStrategy"]["maxUnavailable"] = "100%"
        spec["template"]["spec"]["roles"][0]["template"]["spec"]["containers"][0]["image"] = "other:1"

    (prefill, *_) = effect(manifests(), edited(two), load_minutes=12).roles
    assert (prefill.recreated, prefill.away, prefill.minutes) == (2, 1.0, 12)
    assert prefill.changes == (Change(Field.IMAGE, "image", "vllm-ascend:v0.12.0rc1", "other:1"),)


def test_a_share_that_may_be_away_is_one_of_all_instances_that_are_to_be() -> None:
    def half_of_four(spec: Any) -> None:
        role = spec["template"]["spec"]["roles"][0]
        role |= {"replicas": 4, "updateStrategy": {"maxUnavailable": "50%"}}
        role["template"]["spec"]["containers"][0]["image"] = "other:1"

    (prefill, *_) = effect(manifests(), edited(half_of_four)).roles
    assert (prefill.instances, prefill.away) == ((2, 4), 1.0)


def test_leaves_are_told_by_what_they_are() -> None:
    def pod(**fields: Any) -> dict[str, Any]:
        container = {"name": "decode", "args": ["--a=1", "--b", "2"], "env": [{"name": "X", "value": "1"}], **fields}
        return {"metadata": {"labels": {"l": "1"}}, "spec": {"containers": [container]}}

    assert changes(pod(), pod(stdin=False)) == ()
    assert changes(pod(), pod(args=["--a=2", "--c"])) == (
        Change(Field.FLAG, "--a", "1", "2"), Change(Field.FLAG, "--b", "2", None), Change(Field.FLAG, "--c", None, ""),
    )  # fmt: skip
    assert changes(pod(), pod(env=[{"name": "X", "value": "2"}])) == (Change(Field.ENV, "X", "1", "2"),)
    assert flags(["serve", "--x", "1", "2", "--y=3"]) == {"word 1": "serve", "--x": "1 2", "--y": "3"}


def test_the_page_has_a_row_for_every_effect() -> None:
    page = (Path(__file__).parents[2] / "docs/review.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| ([a-z][^|]*) \|", page, re.M)
    assert rows == [what.value for what in What]
