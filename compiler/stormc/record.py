"""Frozen records and named tuples that cost little when their classes are made (`python -m tests.bench_start`).

A dataclass is compiled from text, and its module pulls in inspect, ast and tokenize; typing's NamedTuple compiles the
annotation of every field. For the seventy classes that a spec meets that is twice what Python takes to start. mypy
checks these as it checks the originals.
"""

from __future__ import annotations

from collections import _tuplegetter  # type: ignore[attr-defined]
from collections.abc import Callable
from types import FunctionType
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar, dataclass_transform

if TYPE_CHECKING:
    from typing import NamedTuple as NamedTuple
else:

    class _Maker(type):
        """Makes a tuple class: annotated names become fields, everything else stays an attribute."""

        def __new__(cls, name, bases, body):
            if not bases:
                return super().__new__(cls, name, bases, body)
            fields = tuple(body.get("__annotations__", ()))
            defaults = {field: body[field] for field in fields if field in body}
            if fields[len(fields) - len(defaults) :] != tuple(defaults):
                raise TypeError(f"{name}: a field without a default follows one that has one")
            getters = {field: _tuplegetter(number, "") for number, field in enumerate(fields)}
            new = FunctionType(_NEW[len(fields)].replace(co_varnames=("cls", *fields)), {"new": tuple.__new__})
            new.__defaults__ = tuple(defaults.values())
            own = {"__slots__": (), "__new__": new, "__match_args__": fields, "_fields": fields}
            return type(name, (_Named,), {**own, **body, **getters})

    class _Constructors(dict):
        """The code of a constructor by the number of its fields; their names are put in later, which costs a tenth."""

        def __missing__(self, number):
            values = "".join(f"field{index}, " for index in range(number))
            constructor = eval(f"lambda cls, {values}: new(cls, ({values}))")
            return self.setdefault(number, constructor.__code__)

    _NEW = _Constructors()

    class _Named(tuple):
        """What all named tuples can do, as those of collections."""

        __slots__ = ()

        @classmethod
        def _make(cls, values):
            return cls(*values)

        def _replace(self, **changes):
            return type(self)(**{**self._asdict(), **changes})

        def _asdict(self):
            return dict(zip(self._fields, self, strict=True))

        def __getnewargs__(self):
            return tuple(self)

        def __repr__(self):
            return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in self._asdict().items())})"

    class NamedTuple(metaclass=_Maker):
        """As typing.NamedTuple, at a fifth of what its classes cost: no text is compiled for each."""


T = TypeVar("T")


class _Default:
    def __init__(self, make: Callable[[], Any], keyword_only: bool) -> None:
        self.make, self.keyword_only = make, keyword_only


def field(*, default: Any = None, default_factory: Callable[[], Any] | None = None, kw_only: bool = False) -> Any:
    """A field whose default is made for each record, or that is passed by name only."""
    return _Default(default_factory or (lambda: default), kw_only)


@dataclass_transform(frozen_default=True, field_specifiers=(field,))
class Record:
    """The base of records: annotated names are fields, their values are defaults; fields of a subclass come after."""

    _fields: ClassVar[tuple[str, ...]] = ()
    _names: ClassVar[frozenset[str]] = frozenset()
    _defaults: ClassVar[dict[str, _Default]] = {}

    def __init_subclass__(cls) -> None:
        defaults = dict(cls._defaults)
        own = [name for name, kind in cls.__annotations__.items() if "ClassVar" not in kind]
        for name in own:
            if name in cls.__dict__:
                value = cls.__dict__[name]
                defaults[name] = value if isinstance(value, _Default) else field(default=value)
                delattr(cls, name)
        fields = dict.fromkeys((*cls._fields, *own))
        cls._fields = tuple(sorted(fields, key=lambda name: name in defaults and defaults[name].keyword_only))
        cls._names = frozenset(fields)
        cls._defaults = defaults

    def __init__(self, *values: Any, **named: Any) -> None:
        state = self.__dict__
        state.update(zip(self._fields, values, strict=False))
        state.update(named)
        if len(state) < len(self._fields):
            for name, default in self._defaults.items():
                if name not in state:
                    state[name] = default.make()
        if len(values) + len(named) > len(self._fields) or state.keys() != self._names:
            raise TypeError(f"{type(self).__name__} has the fields {self._fields}, got {tuple(state)}")

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"{type(self).__name__} is frozen: {name}")

    def __delattr__(self, name: str) -> None:
        raise AttributeError(f"{type(self).__name__} is frozen: {name}")

    def __eq__(self, other: object) -> bool:
        if other.__class__ is not self.__class__:
            return NotImplemented
        return all(self.__dict__[name] == other.__dict__[name] for name in self._fields)

    def __hash__(self) -> int:
        return hash(tuple(self.__dict__[name] for name in self._fields))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{name}={self.__dict__[name]!r}' for name in self._fields)})"


SomeRecord = TypeVar("SomeRecord", bound=Record)


def replace(record: SomeRecord, **changes: Any) -> SomeRecord:
    """The record with some fields changed."""
    return type(record)(**{**{name: record.__dict__[name] for name in record._fields}, **changes})
