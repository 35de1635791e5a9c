"""Origins against an oracle that knows no pass: it changes fields of the spec and looks at what becomes of the leaves.

A leaf names the spec fields that decide it. Changing a field that it does not name leaves it as it is; and every
field that it names can change it, given the right values of the others that it names.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import combinations, islice, product
from typing import Any, NamedTuple

import yaml

from stormc.finding import Path
from stormc.load.document import load_document
from stormc.load.engines import read_engines
from stormc.model.app import App
from stormc.model.build import build_app
from stormc.model.check import check_app
from stormc.model.layers import Layer, Layered
from stormc.model.profile import Platform, Profile
from stormc.passes import PIPELINE
from stormc.passes.edit import REMOVED
from stormc.passes.origins import Leaf, Origin, trace_pipeline
from stormc.passes.runner import run_pipeline
from stormc.payload.read import read_payload
from stormc.repository.profiles import builtin_profile
from tests.compile.spec_fields import GONE, changed, related, units, values_of
from tests.samples import BASE

DOCUMENT = load_document("specs/app.yaml", BASE.encode())[0]
START: dict[str, Any] = yaml.safe_load(BASE)
PLATFORM = Platform()
Place = tuple[str, str, Leaf]
"""A leaf of an object: its kind, its name without the app's, the path."""
MISSING = object()


def build(spec: Mapping[str, Any], platform: Platform = PLATFORM, profile: Profile | None = None) -> App | None:
    assert DOCUMENT is not None
    fields, _ = check_app(Layered((Layer(DOCUMENT),), spec))
    profile = profile or builtin_profile(spec.get("hardware", ""))
    if not fields or not profile:
        return None
    return build_app(fields, "specs/app.yaml", profile, platform, read_payload(), read_engines())


def compiled(app: App, platform: Platform = PLATFORM) -> Mapping[Place, Any]:
    """Every leaf of the app's manifests with its value."""
    leaves: dict[Place, Any] = {}
    for manifest in run_pipeline(PIPELINE, app, platform).manifests:
        name = manifest["metadata"]["name"].removeprefix(app.name)
        leaves |= {(manifest["kind"], name, leaf): value for leaf, value in flat(manifest)}
    return leaves


KEYS = {"roles": "name", "containers": "name", "env": "name", "volumes": "name", "volumeMounts": "mountPath",
        "imagePullSecrets": "name"}  # fmt: skip


def flat(value: Any, path: Leaf = ()) -> Iterator[tuple[Leaf, Any]]:
    """The leaves of a manifest, written down without the code under test."""
    if isinstance(value, dict) and value:
        for key, inner in value.items():
            yield from flat(inner, (*path, key))
    elif isinstance(value, list) and value and path[-1] == "args" and all(isinstance(item, str) for item in value):
        group: list[str] = []
        for item in value:
            group = [*group, item] if group and (not item.startswith("--") or same_flag(group[0], item)) else [item]
            name = group[0].partition("=")[0]
            if item.startswith("--prepend="):  # the launcher's, once per variable
                name = "=".join(item.split("=")[:2])
            yield (*path, (name, len(group) - 1) if len(group) > 1 else (name,)), item
    elif isinstance(value, list) and value and all(isinstance(item, dict) for item in value):
        names = [item_name(str(path[-1]), item) for item in value]
        names = [None for _ in names] if None in names else names
        for index, item in enumerate(value):
            yield from flat(item, (*path, names[index] or index))
    else:
        yield path, value


def same_flag(one: str, other: str) -> bool:
    return one.partition("=")[0] == other.partition("=")[0] != "--prepend"


def item_name(field: str, item: Mapping[str, Any]) -> tuple[Any, ...] | None:
    if field in KEYS:
        return (item[KEYS[field]],) if KEYS[field] in item else None
    if field == "ports" and ("containerPort" in item or "targetPort" in item):
        return (item.get("containerPort", item.get("port")), item["protocol"])
    return None


class Outcomes:
    """What specs render to, each compiled once."""

    def __init__(self) -> None:
        self.leaves: dict[str, Mapping[Place, Any] | None] = {}

    def of(self, spec: Mapping[str, Any]) -> Mapping[Place, Any] | None:
        """The leaves of a spec; None where it is not valid."""
        key = json.dumps(spec, sort_keys=True)
        if key not in self.leaves:
            app = build(spec)
            self.leaves[key] = None if app is None else compiled(app)
        return self.leaves[key]


class Named(NamedTuple):
    """The fields that a leaf names, and those behind a fact that it names."""

    fields: tuple[Path, ...]
    behind: tuple[Path, ...]

    def has(self, field: Path) -> bool:
        """Whether it is one of them, or part of one."""
        return any(related(field, name) for name in self.fields + self.behind)


def origins(spec: Mapping[str, Any]) -> dict[Place, Origin]:
    app = build(spec)
    assert app is not None
    return origins_of(app, spec)


def origins_of(app: App, spec: Mapping[str, Any], platform: Platform = PLATFORM) -> dict[Place, Origin]:
    """The origin of every leaf of the app that the spec says."""
    return {
        (ref.kind, ref.name.removeprefix(app.name), leaf): origin
        for ref, leaves in trace_pipeline(PIPELINE, app, platform, spec).of_objects.items()
        for leaf, origin in leaves.items()
    }


def named(spec: Mapping[str, Any]) -> dict[Place, Named]:
    return {place: Named(last.because.fields + last.because.exists_if, of_release(last.because.fact))
            for place, origin in origins(spec).items() for last in origin[-1:]}  # fmt: skip


def of_release(fact: str) -> tuple[Path, ...]:
    """The fields that choose the release line of the engine, where a fact of it decides."""
    fields = (("engine", "version"), ("image",), ("prefill", "image"), ("decode", "image"))
    return fields if fact.startswith("engine.") else ()


def variants(spec: Mapping[str, Any], field: Path) -> Iterator[dict[str, Any]]:
    yield changed(spec, field, GONE)
    for value in values_of(field):
        yield changed(spec, field, value)


def two_variants(spec: Mapping[str, Any], field: Path) -> list[dict[str, Any]]:
    return [variant for variant in variants(spec, field) if variant != spec][:2]


Varied = Callable[[Mapping[str, Any], Path], Iterable[Mapping[str, Any]]]


def differing(one: Mapping[Place, Any], other: Mapping[Place, Any]) -> set[Place]:
    return {place for place in one.keys() | other.keys() if one.get(place, MISSING) != other.get(place, MISSING)}


def holds_itself(spec: Mapping[str, Any], outcomes: Outcomes) -> None:
    """Every leaf has one origin, and its last writer wrote the value that is there."""
    leaves = outcomes.of(spec)
    assert leaves is not None
    written = {place: origin[-1].value for place, origin in origins(spec).items()}
    assert {place: value for place, value in written.items() if value is not REMOVED} == dict(leaves)


def names_all(spec: Mapping[str, Any], outcomes: Outcomes, fields: Sequence[Path], varied: Varied = variants) -> None:
    """No field changes a leaf that does not name it, neither from here nor to here.

    An override can change any leaf; a leaf names one that is there, and the leaves that it takes away do.
    """
    leaves, names = outcomes.of(spec), named(spec)
    assert leaves is not None
    falsehoods = set()
    for field in fields:
        of_overrides = field == ("overrides",)
        for variant in [changed(spec, field, GONE)] if of_overrides else varied(spec, field):
            other = outcomes.of(variant)
            if other is None or other == leaves:
                continue
            differences = differing(leaves, other)
            there = named(variant) if differences - names.keys() else {}
            looked_at = [names] if of_overrides else [names, there]
            for place in differences:
                for of in looked_at:
                    if place in of and not of[place].has(field):
                        falsehoods.add((field, place, of[place]))
    assert not falsehoods


MOST_CONTEXTS = 600
"""Values of other fields that are tried before a name counts as one too many."""


def names_nothing_else(spec: Mapping[str, Any], outcomes: Outcomes, of: Path = (), part: slice = slice(None)) -> None:
    """Every field that a leaf names changes it, for some values of the other fields that it names.

    `of` takes those leaves alone that name a field of a section, `part` a part of all names.
    """
    open_: dict[tuple[Path, tuple[Path, ...]], set[Place]] = {}
    for place, names in named(spec).items():
        for name in names.fields if names.has(of) else ():
            open_.setdefault((name, names.fields), set()).add(place)
    falsehoods = []
    for (name, fields), places in list(open_.items())[part]:
        left = set(places)
        for context in islice(contexts(spec, [f for f in fields if f != name]), MOST_CONTEXTS):
            left -= changed_by(context, name, outcomes)
            if not left:
                break
        falsehoods += [(name, fields, place) for place in left]
    assert not falsehoods


def contexts(spec: Mapping[str, Any], fields: Sequence[Path]) -> Iterator[Mapping[str, Any]]:
    """The spec, and what it is with other values of one, two or three of the fields."""
    yield spec
    choices = [(unit, value) for field in fields for unit in units(field) for value in (*values_of(unit), GONE)]
    for count in (1, 2, 3):
        for chosen in combinations(choices, count):
            if len({unit for unit, _ in chosen}) == count:
                varied: Mapping[str, Any] = spec
                for unit, value in chosen:
                    varied = changed(varied, unit, value)
                yield varied


def changed_by(spec: Mapping[str, Any], name: Path, outcomes: Outcomes) -> set[Place]:
    results = [outcomes.of(variant) for field in units(name) for variant in (spec, *variants(spec, field))]
    valid = [result for result in results if result is not None]
    return set().union(*(differing(one, other) for one, other in product(valid[:1], valid[1:])))


def spec_of(fields: Mapping[Path, Any], start: Mapping[str, Any] = START) -> dict[str, Any]:
    spec = dict(start)
    for path, value in fields.items():
        spec = changed(spec, path, value)
    return spec
