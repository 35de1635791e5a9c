"""Where every value of an app's manifests comes from, with the line of the spec that decided it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import cache, lru_cache
from typing import Any

from stormc.compile.compilation import Compilation
from stormc.finding import Path, dotted
from stormc.load.document import Document
from stormc.model.app import Ref
from stormc.model.layers import Layered
from stormc.model.precedence import FALLBACKS, is_set
from stormc.passes.because import Because
from stormc.passes.origins import Leaf, Origin, item_steps
from stormc.record import NamedTuple
from stormc.review.rendered_lines import line_paths
from stormc.tree.layout import file_name, layout


class Place(NamedTuple):
    """Where something stands; lines and columns count from 1."""

    file: str
    line: int
    column: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


class Field(NamedTuple):
    """A field of the spec that a value depends on; without a place where nobody has set it."""

    name: str
    value: Any
    place: Place | None


class Earlier(NamedTuple):
    """A value that a later writer replaced."""

    writer: str
    value: Any
    reason: str


class Explained(NamedTuple):
    """One value of a manifest and its reason.

    `decided` are the fields that gave the value, `over` fields that give way to the first of these, `exists_if`
    fields on which it depends whether there is a value, a fact of the platform among them (`platform.mindcluster`);
    `unset` are fields that would decide if they were set. `line` is the first line of the value in `file`.
    """

    object: str
    path: str
    steps: tuple[tuple[str, ...], ...]
    """The steps of the path from the object's kind on, each with all words that may be typed for it."""
    value: Any
    file: str
    line: int
    writer: str
    decided: tuple[Field, ...]
    over: tuple[Field, ...]
    unset: tuple[str, ...]
    exists_if: tuple[Field, ...]
    fact: str
    fact_place: Place | None
    source: str
    replaced: tuple[Earlier, ...]


class RenderedFile(NamedTuple):
    """One rendered file, and for every line the value that it belongs to (an index into `values`)."""

    name: str
    text: str
    values: tuple[Explained, ...]
    of_line: tuple[int | None, ...]


class Explanation(NamedTuple):
    """An app explained: the files that decided, by name with their text, and the files that were rendered."""

    app: str
    sources: Mapping[str, str]
    files: tuple[RenderedFile, ...]

    @property
    def values(self) -> Iterator[Explained]:
        """Every value of every file."""
        return (value for file in self.files for value in file.values)


class Facts(NamedTuple):
    """The documents that facts stand in: the hardware profile's, and the platform files above the app."""

    hardware: Document | None
    platform: Layered | None


def explain(compilation: Compilation, facts: Facts, rendered: str) -> Explanation:
    """The explanation of a compilation that has manifests, whose files lie in the directory `rendered`.

    Guarantees a value for every leaf of every manifest.
    """
    assert compilation.compiled is not None and compilation.layered is not None and compilation.summary is not None
    texts = layout(compilation.compiled.manifests, compilation.compiled.app.spec_file)
    origins = compilation.origins().of_objects
    layered = compilation.layered
    reason_of = cache(lambda because: _reason(because, layered, facts))
    files = []
    for manifest in compilation.compiled.manifests:
        ref = Ref(manifest["kind"], manifest["metadata"]["name"])
        name = f"{rendered}/{compilation.summary.directory}/{file_name(manifest)}"
        files.append(_file(name, texts[file_name(manifest)], ref, manifest, origins[ref], reason_of))
    documents = [layer.document for layer in layered.layers]
    documents += [facts.hardware] if facts.hardware else []
    documents += [layer.document for layer in facts.platform.layers] if facts.platform else []
    sources = {document.file: document.text for document in reversed(documents)}
    label = f"{compilation.summary.namespace}/{compilation.summary.name}"
    return Explanation(label, dict(reversed(sources.items())), tuple(files))


def _file(
    name: str, text: str, ref: Ref, manifest: Mapping[str, Any], origins: Mapping[Leaf, Origin],
    reason_of: Callable[[Because], _Reason],
) -> RenderedFile:  # fmt: skip
    by_position = dict(_positions(ref.kind, manifest))
    order = {leaf: index for index, leaf in enumerate(by_position.values())}
    first: dict[int, int] = {}
    of_line: list[int | None] = []
    for number, path in enumerate(line_paths(text), 1):
        leaf = next((by_position[path[:n]] for n in range(len(path), 0, -1) if path[:n] in by_position), None)
        of_line.append(None if leaf is None else order[leaf])
        if leaf is not None:
            first.setdefault(order[leaf], number)
    values = [
        _explained(ref, leaf, origins[leaf], name, first[index], reason_of(origins[leaf][-1].because))
        for leaf, index in order.items()
    ]
    return RenderedFile(name, text, tuple(values), tuple(of_line))


def _positions(kind: str, value: Any, path: Path = (), leaf: Leaf = ()) -> Iterator[tuple[Path, Leaf]]:
    """Each leaf by its path with positions for list items."""
    if isinstance(value, dict) and value:
        for key, inner in value.items():
            yield from _positions(kind, inner, (*path, key), (*leaf, key))
        return
    steps = item_steps(kind, str(path[-1]), value) if isinstance(value, list) and path else None
    if steps:
        for index, (step, inner) in enumerate(zip(steps, value, strict=True)):
            yield from _positions(kind, inner, (*path, index), (*leaf, step))
    else:
        yield path, leaf


def _explained(ref: Ref, leaf: Leaf, origin: Origin, file: str, line: int, reason: _Reason) -> Explained:
    last = origin[-1]
    return Explained(
        object=f"{ref.kind}/{ref.name}",
        path=readable(leaf),
        steps=tuple(_spellings(step) for step in (ref.kind, ref.name, *leaf)),
        value=last.value,
        file=file,
        line=line,
        writer=last.writer,
        decided=reason.decided,
        over=reason.over,
        unset=reason.unset,
        exists_if=reason.exists_if,
        fact=last.because.fact,
        fact_place=reason.fact_place,
        source=last.because.source,
        replaced=tuple(Earlier(one.writer, one.value, one.because.in_words()) for one in origin[:-1]),
    )


class _Reason(NamedTuple):
    """What Explained says of a reason; many values of an app have the same one."""

    decided: tuple[Field, ...]
    over: tuple[Field, ...]
    unset: tuple[str, ...]
    exists_if: tuple[Field, ...]
    fact_place: Place | None


def _reason(because: Because, layered: Layered, facts: Facts) -> _Reason:
    there = [field for field in because.fields if is_set(layered.data, field)]
    lost = [field for field in there[1:] if _gives_way(field, there[0])]
    return _Reason(
        decided=tuple(_field(field, layered) for field in there if field not in lost),
        over=tuple(_field(field, layered) for field in lost),
        unset=tuple(dotted(field) for field in because.fields if field not in there),
        exists_if=(
            *(_field(field, layered) for field in because.exists_if),
            *_exists_if_fact(because.exists_if_fact, facts),
        ),
        fact_place=_fact_place(because.fact, facts),
    )


def _gives_way(field: Path, winner: Path) -> bool:
    """Whether a field holds only where the winner is not set: the app's under a role's own."""
    fallback = FALLBACKS.get(winner)
    same_table = winner[1:2] in (("engineArgs",), ("env",)) and field[:1] == ("engine",) and field[-1] == winner[-1]
    return same_table or (fallback is not None and field in fallback.fields)


def _field(field: Path, layered: Layered) -> Field:
    if not field:
        return Field("the whole spec", None, Place(layered.file, 1, 1))
    if not is_set(layered.data, field):
        return Field(dotted(field), None, None)
    value: Any = layered.data
    for step in field:
        value = value[step]
    return Field(dotted(field), value, _place(layered, field, value))


def _place(layered: Layered, path: Path, value: Any) -> Place:
    """Where a value stands; what begins on a line of its own below its key is looked for at the key."""
    file, mark = layered.locate(path, key=isinstance(path[-1], str) and isinstance(value, (dict, list)))
    return Place(file, mark.line, mark.column)


def _exists_if_fact(fact: str, facts: Facts) -> Iterator[Field]:
    """The fact of the platform, with its value where a platform file says one."""
    if not fact:
        return
    yield Field(fact, _value_of_platform(fact, facts), _fact_place(fact, facts))


def _value_of_platform(fact: str, facts: Facts) -> Any:
    value: Any = facts.platform.data if facts.platform else {}
    for step in fact.split(".")[1:]:
        value = value.get(step) if isinstance(value, dict) else None
    return value


def _fact_place(fact: str, facts: Facts) -> Place | None:
    """Where a fact of the hardware or the platform is written down; None where it has its default."""
    room, _, name = fact.partition(".")
    path = tuple(name.split("."))
    if room == "hardware" and facts.hardware is not None and is_set(facts.hardware.data, path):
        mark = facts.hardware.locate(path)
        return Place(facts.hardware.file, mark.line, mark.column)
    if room == "platform" and facts.platform is not None and is_set(facts.platform.data, path):
        return _place(facts.platform, path, _value_of_platform(fact, facts))
    return None


def readable(leaf: Leaf) -> str:
    """A path for people: `spec.template.spec.roles[prefill].replicas`, `args[--port]`."""
    text = ""
    for step in leaf:
        words = _words(step)
        if isinstance(step, str) and "." not in step and "/" not in step:
            text += f".{step}" if text else step
        else:
            text += f"[{'/'.join(words)}]"
    return text


def _words(step: str | int | tuple[str | int, ...]) -> tuple[str, ...]:
    return tuple(map(str, step)) if isinstance(step, tuple) else (str(step),)


@lru_cache(maxsize=1000)
def _spellings(step: str | int | tuple[str | int, ...]) -> tuple[str, ...]:
    """What may be typed for a step: `8080/TCP` or `8080`, `port` for `--port`, `a` for `example.com/a`."""
    words = _words(step)
    names = dict.fromkeys(("/".join(words), *words))
    return tuple(word for name in names for word in (name.removeprefix("--"), name.rpartition("/")[2]))


def words_of_path(path: str) -> list[str]:
    """The steps of a path as people type it: `prefill.image`, `roles[prefill].args[--port]`."""
    words: list[str] = []
    for number, part in enumerate(path.replace("]", "[").split("[")):
        if number % 2:
            words.append(part)
        else:
            words += [word for word in part.split(".") if word]
    return words


def at_path(explanation: Explanation, path: str) -> list[Explained]:
    """The values whose path has the given steps in this order; the steps between them may be left out."""
    words = [word.removeprefix("--") for word in words_of_path(path)]
    return [value for value in explanation.values if _has_steps(value, words)]


def _has_steps(value: Explained, words: list[str]) -> bool:
    steps = iter(value.steps)
    return all(any(word in step for step in steps) for word in words)


def decided_by(explanation: Explanation, field: str) -> list[Explained]:
    """The values that depend on a field of the spec, or on one below it."""

    def is_meant(name: str) -> bool:
        return name == field or name.startswith((f"{field}.", f"{field}["))

    return [
        value
        for value in explanation.values
        if any(map(is_meant, (*value.unset, *(one.name for one in (*value.decided, *value.over, *value.exists_if)))))
    ]


def at_line(file: RenderedFile, line: int) -> list[Explained]:
    """The value that a line of a rendered file belongs to, or all below the line where it opens a mapping or list."""
    if not 1 <= line <= len(file.of_line):
        return []
    index = file.of_line[line - 1]
    if index is not None:
        return [file.values[index]]
    path = list(line_paths(file.text))[line - 1]
    if not path:
        return []
    below = dict.fromkeys(
        i for p, i in zip(line_paths(file.text), file.of_line, strict=True) if i is not None and p[: len(path)] == path
    )
    return [file.values[i] for i in below]
