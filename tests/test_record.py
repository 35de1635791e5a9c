"""Records behave as frozen dataclasses do."""

from __future__ import annotations

import dataclasses
import pickle
from collections.abc import Mapping
from functools import cached_property
from typing import ClassVar

import pytest

from stormc.record import Record, field, replace


class Point(Record):
    unit: ClassVar[str] = "m"
    x: int
    y: int = 0
    notes: Mapping[str, str] = field(default_factory=dict)
    label: str = field(default="p", kw_only=True)

    @cached_property
    def length(self) -> int:
        return abs(self.x) + abs(self.y)


class Named(Point):
    name: str = ""


@dataclasses.dataclass(frozen=True)
class Model:
    x: int
    y: int = 0
    notes: Mapping[str, str] = dataclasses.field(default_factory=dict)
    label: str = dataclasses.field(default="p", kw_only=True)


@pytest.mark.parametrize("values", [(1,), (1, 2), (1, 2, {"a": "b"})])
@pytest.mark.parametrize("named", [{}, {"label": "q"}])
def test_fields_are_those_of_a_dataclass(values: tuple[int, ...], named: dict[str, str]) -> None:
    point, model = Point(*values, **named), Model(*values, **named)  # type: ignore[arg-type]
    assert vars(point) == vars(model)
    assert repr(point) == repr(model).replace("Model", "Point")


@pytest.mark.parametrize(("values", "named"), [((), {}), ((1, 2, {}, 4, 5), {}), ((1,), {"z": 1}), ((), {"y": 1})])
def test_too_few_and_too_many_values_are_refused(values: tuple[int, ...], named: dict[str, int]) -> None:
    with pytest.raises(TypeError):
        Point(*values, **named)  # type: ignore[arg-type]


def test_a_record_is_frozen_comparable_and_travels() -> None:
    point = Point(3, -4)
    assert point.length == 7 and point == Point(3, -4) != Point(3, 4) and point != Model(3, -4)
    assert pickle.loads(pickle.dumps(point)) == point
    with pytest.raises(AttributeError):
        point.x = 5  # type: ignore[misc]
    with pytest.raises(AttributeError):
        del point.x
    assert Point(1).notes is not Point(1).notes


def test_a_subclass_adds_fields_before_those_by_name() -> None:
    named = Named(1, 2, {}, "n", label="l")
    assert (named.name, named.label, replace(named, x=9).x, replace(named, x=9).name) == ("n", "l", 9, "n")
    assert hash(Layer(1)) == hash(Layer(1))


class Layer(Record):
    depth: int
