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
    """The memory of an app whose files are as it knows them, with the stamp that they have now."""
    if memory.stamp and memory.stamp == stamp(out, memory.hashes):
        return memory
    current_stamp = stamp(out, memory.hashes, now)
    for path, known in memory.hashes.items():
        content = on_disk(out, path)
        if content is None or digest(content) != known:
            return None
    return memory._replace(stamp=current_stamp)


def stamp_after(out: Path, paths: Collection[str], written: Collection[str], start: int, moved: int) -> str:
    """The stamp of files of which a render has written some: those before `moved`, and read the others since `start`.

    Empty where one of them may have changed meanwhile.
    """
    untouched: Sequence[str] = [path for path in paths if path not in written]
    return stamp(out, paths, moved) if not untouched or stamp(out, untouched, start) else ""
