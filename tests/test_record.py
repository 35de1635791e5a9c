"""Records behave as frozen dataclasses do."""

from __future__ import annotations

import copy
import dataclasses
import pickle
import typing
from collections.abc import Mapping
from functools import cached_property
from typing import ClassVar

import pytest

from stormc.record import NamedTuple, Record, field, replace


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


class Mine(NamedTuple):
    """A line between two points."""

    first: str
    last: str = "b"
    steps: tuple[int, ...] = ()

    @property
    def ends(self) -> str:
        return self.first + self.last

    def whose(self) -> type:
        return __class__  # type: ignore[name-defined,no-any-return]


class Typing(typing.NamedTuple):
    first: str
    last: str = "b"
    steps: tuple[int, ...] = ()


class Empty(NamedTuple):
    pass


@pytest.mark.parametrize(
    ("values", "named"),
    [(("a",), {}), (("a", "c"), {}), (("a",), {"steps": (1,)}), ((), {"last": "c", "first": "a"}), ((), {}),
     (("a", "b", (), 4), {}), (("a",), {"first": "b"}), (("a",), {"other": 1})],
)  # fmt: skip
def test_named_tuples_are_those_of_typing(values: tuple[str, ...], named: dict[str, str]) -> None:
    try:
        expected = Typing(*values, **named)  # type: ignore[arg-type]
    except TypeError:
        with pytest.raises(TypeError):
            Mine(*values, **named)  # type: ignore[arg-type]
        return
    mine = Mine(*values, **named)  # type: ignore[arg-type]
    assert tuple(mine) == tuple(expected) and isinstance(mine, tuple)
    assert repr(mine) == repr(expected).replace("Typing", "Mine")
    assert mine._asdict() == expected._asdict()
    assert mine._fields == expected._fields
    assert tuple(mine._replace(last="z")) == tuple(expected._replace(last="z"))
    assert tuple(Mine._make(["x", "y", ()])) == tuple(Typing._make(["x", "y", ()]))
    assert pickle.loads(pickle.dumps(mine)) == mine == copy.deepcopy(mine)
    assert {mine: 1}[mine] == 1 and mine.ends == mine.first + mine.last and mine.whose() is Mine
    match mine:
        case Mine(first, last, steps):
            assert (first, last, steps) == mine


def test_a_named_tuple_is_frozen_and_has_no_fields_beside_its_own() -> None:
    mine = Mine("a")
    for name in ("first", "other"):
        with pytest.raises(AttributeError):
            setattr(mine, name, "x")
    with pytest.raises(TypeError):
        mine._replace(other=1)  # type: ignore[call-arg]
    assert Empty() == () and Mine.__doc__ == "A line between two points."
