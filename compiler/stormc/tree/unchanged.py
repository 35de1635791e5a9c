"""Which apps need no compiling: the last render remembers them, and their files are still as it left them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from pathlib import Path

from stormc.digest import digest
from stormc.load.sources import Source
from stormc.record import NamedTuple
from stormc.tree.memory import Memory
from stormc.tree.read import on_disk, stamp

Inputs = Callable[[Source], Iterable[bytes]]


class Split(NamedTuple):
    """The apps to compile, and the memories of the others by spec path."""

    changed: list[Source]
    unchanged: dict[str, Memory]


def split(chosen: Iterable[Source], memories: Mapping[str, Memory], inputs: Inputs, out: Path, now: int) -> Split:
    """The chosen apps by whether they must be compiled. `now` is the staging directory's clock."""
    result = Split([], {})
    for source in chosen:
        memory = memories.get(source.path)
        current = _intact(out, memory, now) if memory and memory.digest == digest(*inputs(source)) else None
        if current is None:
            result.changed.append(source)
        else:
            result.unchanged[source.path] = current
    return result


def _intact(out: Path, memory: Memory, now: int) -> Memory | None:
    """The memory with the current stamp of its files; None where one of them has other content."""
    if memory.stamp and memory.stamp == stamp(out, memory.hashes):
        return memory
    current_stamp = stamp(out, memory.hashes, now)
    for path, known in memory.hashes.items():
        content = on_disk(out, path)
        if content is None or digest(content) != known:
            return None
    return memory._replace(stamp=current_stamp)


def stamp_after(out: Path, paths: Collection[str], written: Collection[str], start: int, moved: int) -> str:
    """The stamp of an app's files after a render that staged `written` before `moved`, and read the rest after `start`.

    Both are instants of `clock`. Empty where a file may have changed meanwhile.
    """
    untouched: Sequence[str] = [path for path in paths if path not in written]
    return stamp(out, paths, moved) if not untouched or stamp(out, untouched, start) else ""
