"""Rendered files of many apps in little memory: the programs in their ConfigMaps are the same in every app."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from itertools import pairwise

LONG = 32 * 1024
"""Shorter files are kept as they are."""
_KEY = re.compile(rb"\n  [^ ]")
_PART = 1024
_shared: dict[bytes, bytes] = {}


class Files(Mapping[str, bytes]):
    """Contents by path. Long ones are taken apart at their keys, and equal parts are held once."""

    __slots__ = ("_contents",)

    def __init__(self, contents: Iterable[tuple[str, bytes]] = ()) -> None:
        self._contents: dict[str, bytes | tuple[bytes, ...]] = {path: _held(content) for path, content in contents}

    def __getitem__(self, path: str) -> bytes:
        found = self._contents[path]
        return found if isinstance(found, bytes) else b"".join(found)

    def __iter__(self) -> Iterator[str]:
        return iter(self._contents)

    def __len__(self) -> int:
        return len(self._contents)

    def __reduce__(self) -> tuple[type[Files], tuple[list[tuple[str, bytes]]]]:
        """A process that gets them holds equal parts once, too."""
        return Files, (list(self.items()),)

    def only(self, paths: Iterable[str]) -> Files:
        """Some of them, in the order of `paths`."""
        chosen = Files()
        chosen._contents = {path: self._contents[path] for path in paths}
        return chosen


def joined(groups: Iterable[Mapping[str, bytes]]) -> Files:
    """All files of several groups."""
    whole = Files()
    for group in groups:
        whole._contents.update((group if isinstance(group, Files) else Files(group.items()))._contents)
    return whole


def _held(content: bytes) -> bytes | tuple[bytes, ...]:
    if len(content) < LONG:
        return content
    cuts = [0, *(match.start() for match in _KEY.finditer(content)), len(content)]
    parts = (content[start:end] for start, end in pairwise(cuts))
    return tuple(_shared.setdefault(part, part) if len(part) > _PART else part for part in parts)
