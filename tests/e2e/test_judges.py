"""What a live test makes of the happenings that it watched: an order that was broken, instances that were away."""

from __future__ import annotations

from typing import Any

import pytest

from tests.e2e.live.kubelet import Happening
from tests.e2e.live.predictions import fewest_ready, out_of_order


def happened(*lines: str) -> list[Happening]:
    """Happenings from lines such as `ending decode 1 old`: what, role, number of the instance, pod."""
    words = [line.split() for line in lines]
    return [Happening(what, "ns", "app", role, slot, uid, uid) for what, role, slot, uid in words]


def recreated(role: str, after: int) -> dict[str, Any]:
    return {"role": role, "what": ["recreated"], "atOnce": False, "instances": {"before": 2, "after": after}}


@pytest.mark.parametrize(
    ("decode_after", "lines", "wrong"),
    [
        (2, ("ending prefill 0 p", "ready prefill 0 q", "ending decode 1 d"), False),
        (2, ("ending prefill 0 p", "ending decode 1 d", "ready prefill 0 q"), True),
        (1, ("ending decode 1 d", "ready prefill 0 q", "ending decode 0 c"), False),
        (1, ("ending decode 1 d", "ending decode 0 c", "ready prefill 0 q"), True),
    ],
    ids=["in order", "out of order", "an instance too many goes first", "one that stays goes too early"],
)
def test_only_an_update_can_be_out_of_order(decode_after: int, lines: tuple[str, ...], wrong: bool) -> None:
    roles = [recreated("prefill", 1), recreated("decode", decode_after)]
    assert bool(out_of_order(roles, happened(*lines), {"p", "c", "d"})) is wrong


@pytest.mark.parametrize(
    ("size", "lines", "fewest"),
    [
        (2, ("ending decode 0 a", "ready decode 0 A", "ready decode 0 B", "ending decode 1 c", "ready decode 1 C"), 1),
        (1, ("ending decode 0 a", "ready decode 0 A", "ending decode 1 c"), 1),
        (3, ("ending decode 0 a", "ready decode 0 A", "ready decode 0 B", "ending decode 1 c"), 0),
        (2, ("ending decode 0 a", "ready decode 0 A", "ending decode 1 c", "ready decode 0 B"), 0),
    ],
    ids=["as large as before", "smaller", "larger, one pod is missing", "the other instance goes too early"],
)
def test_an_instance_is_ready_with_all_pods_that_it_is_to_have(size: int, lines: tuple[str, ...], fewest: int) -> None:
    start = {"a": "0", "b": "0", "c": "1", "d": "1"}
    assert fewest_ready(happened(*lines), "decode", start, size) == fewest
