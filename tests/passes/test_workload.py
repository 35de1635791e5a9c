from __future__ import annotations

from typing import Any

import pytest

from tests.samples import app, pod, role, storm


def test_one_role_set_changed_in_place() -> None:
    spec = storm()["spec"]
    assert (spec["replicas"], spec["stateful"], spec["updateStrategy"]) == (1, True, {"type": "InPlaceUpdate"})
    assert spec["template"]["spec"]["updateStrategy"] == "Sequential"


def test_selector_is_mirrored_in_the_template() -> None:
    spec = storm()["spec"]
    assert spec["selector"]["matchLabels"] == {"stormc.dev/app": "inference.qwen3-moe"}
    assert spec["template"]["metadata"]["labels"] == spec["selector"]["matchLabels"]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("{name: a, namespace: b}", "{name: b, namespace: a}"),
        ("{name: a-b, namespace: c}", "{name: a, namespace: b-c}"),
        (f"{{name: a, namespace: {'n' * 63}}}", f"{{name: b, namespace: {'n' * 63}}}"),
    ],
)
def test_selector_is_unique_per_cluster(one: str, other: str) -> None:
    first, second = app(one).identity, app(other).identity
    assert first != second
    assert max(len(first), len(second)) <= 63


def test_roles_are_explicit_and_stateful() -> None:
    roles = storm("prefill: {replicas: 3}")["spec"]["template"]["spec"]["roles"]
    facts = [(r["name"], r["replicas"], r.get("podGroupSize"), r["stateful"], r["upgradeOrder"]) for r in roles]
    assert facts == [("prefill", 3, 1, True, 1), ("decode", 1, 2, True, 2), ("routing", 1, None, True, 3)]
    assert all(r["updateStrategy"] == {"maxUnavailable": 1} for r in roles)


POD_FIELDS: list[tuple[str, str, tuple[str, ...], Any]] = [
    ("decode: {labels: {team: search}}", "decode", ("metadata", "labels", "team"), "search"),
    ("routing: {annotations: {note: x}}", "routing", ("metadata", "annotations", "note"), "x"),
    ("prefill: {nodeSelector: {zone: a}}", "prefill", ("spec", "nodeSelector", "zone"), "a"),
    ("prefill: {priorityClassName: high}", "prefill", ("spec", "priorityClassName"), "high"),
    ("decode: {tolerations: [{key: npu, operator: Exists}]}", "decode", ("spec", "tolerations"),
     [{"key": "npu", "operator": "Exists"}]),
    ("imagePullSecrets: [a, b]", "routing", ("spec", "imagePullSecrets"), [{"name": "a"}, {"name": "b"}]),
    ("{}", "decode", ("spec", "enableServiceLinks"), False),
]  # fmt: skip


@pytest.mark.parametrize(("overlay", "name", "path", "value"), POD_FIELDS)
def test_pod_fields_of_a_role_are_written(overlay: str, name: str, path: tuple[str, ...], value: Any) -> None:
    node: Any = pod(storm(overlay), name)
    for step in path:
        node = node[step]
    assert node == value


def test_absent_pod_fields_are_not_written() -> None:
    spec = pod(storm(), "decode")["spec"]
    assert not {"tolerations", "priorityClassName", "imagePullSecrets"} & set(spec)
    assert "metadata" not in role(storm(), "routing")["template"]
