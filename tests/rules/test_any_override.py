"""No override makes a rule raise: whatever of the StormService is removed or replaced, there are findings or none."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from tests.rules.judging import judge, patched
from tests.samples import storm


def paths(node: Any, where: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Every field of a manifest; named items of lists by their name."""
    if isinstance(node, dict):
        for key, value in node.items():
            yield (*where, key)
            yield from paths(value, (*where, key))
    elif isinstance(node, list):
        for item in node:
            if isinstance(item, dict) and "name" in item and "mountPath" not in item:
                yield from paths({k: v for k, v in item.items() if k != "name"}, (*where, ("name", item["name"])))


def patch(path: tuple[Any, ...], value: Any) -> Any:
    """A patch that sets one field."""
    for step in reversed(path):
        value = [{"name": step[1], **value}] if isinstance(step, tuple) else {step: value}
    return value


FIELDS = [path for path in paths(storm()) if (path[0] == "spec" and ("name", "decode") in path) or len(path) < 6]


@pytest.mark.parametrize("value", [None, "x", 7])
def test_any_field_may_be_replaced(value: Any) -> None:
    assert len(FIELDS) > 60
    for path in FIELDS:
        text = yaml.safe_dump(patch(path, value), default_flow_style=True, width=10**6)
        for finding in judge(patched(text)):
            assert finding.mark.line > 1, (path, finding)
