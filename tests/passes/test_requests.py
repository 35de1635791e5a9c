"""What engine pods request of the node by their profile, and how they are confined where the spec asks for it."""

from __future__ import annotations

from typing import Any

import pytest

from stormc.model.quantity import times
from tests.samples import container, storm

PATCH = """
overrides: [{target: StormService, reason: r, owner: me, patch: {spec: {template: {spec: {roles: [
  {name: decode, template: {spec: {containers: [{name: decode, resources: {limits: {memory: 8Gi}}}]}}}]}}}}}]
"""
REQUESTS: list[tuple[str, dict[str, str]]] = [
    ("{}", {"cpu": "64", "memory": "256Gi"}),
    ("decode: {npus: 2}", {"cpu": "8", "memory": "32Gi"}),
    ("hardware: atlas-800i-a2", {"cpu": "32", "memory": "256Gi"}),
    ("hardware: atlas-850", {}),
    ("decode: {resources: {}}", {}),
    ("decode: {resources: {memory: 100Gi}}", {"cpu": "64", "memory": "100Gi"}),
    ("decode: {resources: {cpu: 2, memory: 1Gi}}", {"cpu": "2", "memory": "1Gi"}),
    (PATCH, {"cpu": "64"}),
]


@pytest.mark.parametrize(("overlay", "requests"), REQUESTS)
def test_engines_request_a_share_of_the_node_unless_the_spec_says_more(overlay: str, requests: dict[str, str]) -> None:
    resources = container(storm(overlay), "decode")["resources"]
    assert {name: amount for name, amount in resources["requests"].items() if "/" not in name} == requests


def test_what_the_profile_requests_is_no_limit() -> None:
    assert set(container(storm(), "prefill")["resources"]["limits"]) == {"huawei.com/Ascend910"}


@pytest.mark.parametrize(
    ("each", "count", "all_of_them"),
    [(4, 16, "64"), ("32Gi", 8, "256Gi"), ("500m", 3, "1500m"), ("0.5", 8, "4"), ("1.5Gi", 2, "3Gi"), ("1Gi", 0, "0")],
)
def test_a_quantity_is_multiplied_exactly(each: str | int, count: int, all_of_them: str) -> None:
    assert times(each, count) == all_of_them


DROP_RAW = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["NET_RAW"]}}
FILTER = {"seccompProfile": {"type": "RuntimeDefault"}}
CONTEXTS: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    ("{}", DROP_RAW, DROP_RAW),
    ("securityContext: {seccompProfile: {type: RuntimeDefault}}", {**DROP_RAW, **FILTER}, {**DROP_RAW, **FILTER}),
    ("decode: {securityContext: {capabilities: {drop: [ALL], add: [DAC_OVERRIDE]}}}", DROP_RAW,
     {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"], "add": ["DAC_OVERRIDE"]}}),
]  # fmt: skip


@pytest.mark.parametrize(("overlay", "prefill", "decode"), CONTEXTS)
def test_engines_are_confined_as_the_spec_says(overlay: str, prefill: dict[str, Any], decode: dict[str, Any]) -> None:
    service = storm(overlay)
    assert container(service, "prefill")["securityContext"] == prefill
    assert container(service, "decode")["securityContext"] == decode
