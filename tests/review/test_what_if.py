"""What one fault does to an app, by the fault policy in its finished manifests."""

from __future__ import annotations

from typing import Any

import pytest

from stormc.review.what_if import Consequence, Fault, Handling, consequences
from tests.samples import compiled


def at(role: str, fault: Fault, overlay: str = "", edit: Any = None) -> Consequence:
    manifests: Any = compiled(overlay).manifests
    if edit:
        storm = next(m for m in manifests if m["kind"] == "StormService")
        edit(next(r for r in storm["spec"]["template"]["spec"]["roles"] if r["name"] == role)["template"]["metadata"])
    return next(one for one in consequences(manifests, [fault]) if one.role == role)


CASES = [
    # role, fault, pods, handling, what remains of the role, retries, NPUs to be free at once
    ("prefill", Fault.CHIP, 1, Handling.POD, 0.5, None, 16),
    ("prefill", Fault.NODE, 1, Handling.POD, 0.5, None, 16),
    ("prefill", Fault.PROCESS, 1, Handling.AIBRIX, 0.5, None, 16),
    ("decode", Fault.CHIP, 2, Handling.INSTANCE, 0.0, None, 32),
    ("decode", Fault.PROCESS, 2, Handling.INSTANCE, 0.0, 10, 32),
    ("routing", Fault.ROUTER, 1, Handling.AIBRIX, 0.0, None, 0),
]


@pytest.mark.parametrize(("role", "fault", "pods", "handling", "remaining", "retries", "npus"), CASES)
def test_a_fault_under_the_default_policy(
    role: str, fault: Fault, pods: int, handling: Handling, remaining: float, retries: int | None, npus: int
) -> None:
    seen = at(role, fault)
    assert (seen.pods, seen.handling, seen.remaining[role], seen.retries, seen.gang) == (
        pods, handling, remaining, retries, npus,
    )  # fmt: skip


def test_the_labels_of_the_pods_decide_who_recovers_them() -> None:
    def without(key: str) -> Any:
        return lambda metadata: [metadata[where].pop(key, None) for where in ("labels", "annotations")]

    whole = at("prefill", Fault.CHIP, edit=without("huawei.com/recover_policy_path"))
    assert (whole.handling, whole.pods, whole.remaining["prefill"]) == (Handling.GANG, 2, 0.0)
    assert at("decode", Fault.PROCESS, edit=without("fault-retry-times")).handling is Handling.NOBODY
    assert at("decode", Fault.CHIP, edit=without("fault-scheduling")).handling is Handling.NOBODY
    stale = at("decode", Fault.CHIP, edit=lambda metadata: metadata["labels"].update({"pod-rescheduling": "on"}))
    assert stale.handling is Handling.PEERS_STALE


def test_the_worst_is_first() -> None:
    found = consequences(compiled("decode: {replicas: 2}\nrouting: {replicas: 2}").manifests)
    assert found[0].fault is Fault.SUPER_POD and not found[0].serves
    assert [one.serves for one in found] == sorted(one.serves for one in found)
    assert {one.fault for one in found} == set(Fault)
    assert consequences([]) == []


def test_decode_serves_alone_where_the_proxy_lets_it() -> None:
    one = "prefill: {replicas: 1}"
    assert (at("prefill", Fault.CHIP, one).alone, at("prefill", Fault.CHIP, one).serves) == (True, True)
    never = at("prefill", Fault.CHIP, f"{one}\nproxy: {{fallback: false}}")
    assert (never.alone, never.serves) == (False, False)
    assert not at("decode", Fault.CHIP, one).serves
    assert not at("prefill", Fault.CHIP, "prefill: {replicas: 2}").alone
