"""The programs that pods run: the engine launcher and the routing proxy, as they come with stormc.

`contents.json`, which tools/payload.py writes, is the literal list of their files. A render takes exactly these files
with exactly these bytes: whatever else is installed under the proxy's name never reaches a pod. Pods get their code:
comments and docstrings, whose places are in the list, are left out, and every line stays where it was.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import cache, partial
from importlib.util import find_spec
from pathlib import Path

from stormc.digest import digest
from stormc.failure import Failure
from stormc.phrase import phrase
from stormc.record import NamedTuple

HERE = Path(__file__).parent
CONTENTS = HERE / "contents.json"
LAUNCHER, PROXY = "launcher", "stormc_proxy"
IGNORED = frozenset(["__pycache__", "py.typed"])
"""What may lie among the proxy's files and is no part of it."""


class Program(NamedTuple):
    """One program: a version that changes with its code, and how the code of its files is read, by path.

    `read` raises Failure where a file is missing, is not the one that this stormc was made with, or is one too many.
    It reads them once, for all namespaces.
    """

    version: str
    read: Callable[[], Mapping[str, str]]


class Payload(NamedTuple):
    """What runs inside the pods."""

    launcher: Program
    proxy: Program


@cache
def read_payload() -> Payload:
    """The programs of this stormc; their files are not read yet. Raises Failure without a list of them."""
    try:
        programs = json.loads(CONTENTS.read_bytes())
        launcher, proxy = programs[LAUNCHER], programs[PROXY]
    except (OSError, ValueError, KeyError) as error:
        raise Failure(
            phrase(
                "{name} of stormc cannot be read ({problem}); {remedy}",
                name=CONTENTS.name,
                problem=type(error).__name__,
                remedy=_REMEDY,
            )
        ) from None
    return Payload(
        _program(launcher, lambda: HERE, "compiler/stormc/payload"),
        _program(proxy, proxy_directory, "proxy/stormc_proxy"),
    )


_REMEDY = phrase("install stormc anew, or in a checkout run: make golden")


class _File(NamedTuple):
    """An entry of the list: digests of a file's bytes and of its code, and where its prose is."""

    digest: str
    code: str
    prose: str


def _program(entries: Mapping[str, Sequence[str]], place: Callable[[], Path], home: str) -> Program:
    code = [part.encode() for path, (_, code, _) in sorted(entries.items()) for part in (path, code)]
    return Program(digest(*code)[:10], cache(partial(_texts, entries, place, home)))


def proxy_directory() -> Path:
    """Where the installed proxy lies; it is found by name and not imported. Raises Failure."""
    spec = find_spec(PROXY)
    places = list(spec.submodule_search_locations or ()) if spec else []
    if not places:
        raise Failure(phrase("{proxy}, the routing proxy, is not installed; {remedy}", proxy=PROXY, remedy=_REMEDY))
    return Path(places[0])


def _texts(entries: Mapping[str, Sequence[str]], place: Callable[[], Path], home: str) -> Mapping[str, str]:
    """The code of the files below a directory. But for the launcher's, no other file may lie there."""
    directory = place()
    texts = {}
    for path, entry in entries.items():
        file, raw = _File(*entry), b""
        with suppress(OSError), open(f"{directory}/{path}", "rb") as stream:
            raw = stream.read()
        if digest(raw) != file.digest:
            raise Failure(
                phrase(
                    "{file} is not the file that this stormc was made with; {remedy}",
                    file=directory / path,
                    remedy=_REMEDY,
                )
            )
        code = without_prose(raw, file.prose).decode()
        texts[path] = f"# {home}/{path} of stormc, where its comments are{code}" if code.startswith("\n") else code
    foreign = sorted(_present(directory) - entries.keys()) if directory != HERE else []
    if foreign:
        raise Failure(
            phrase(
                "{file} is no part of stormc's proxy; remove it, or {remedy}",
                file=directory / foreign[0],
                remedy=_REMEDY,
            )
        )
    return texts


def without_prose(raw: bytes, prose: str) -> bytes:
    """The file without its comments and docstrings, every line where it was.

    `prose` says how many bytes are code, how many then are prose, and so on in turn (tools/prose.py).
    """
    lengths = iter(map(int, prose.split()))
    pieces, position = [], 0
    for code, words in zip(lengths, lengths, strict=True):
        start = position + code
        pieces += [raw[position:start], b"\n" * raw.count(b"\n", start, start + words)]
        position = start + words
    return b"".join(pieces) + raw[position:]


def _present(directory: Path) -> set[str]:
    found: set[str] = set()
    for above, directories, files in os.walk(directory):
        directories[:] = [name for name in directories if name not in IGNORED and not name.startswith(".")]
        below = os.path.relpath(above, directory).replace(os.sep, "/")
        names = [name for name in files if name not in IGNORED and not name.startswith(".")]
        found.update(name if below == "." else f"{below}/{name}" for name in names)
    return found


def key_of(path: str) -> str:
    """A ConfigMap's key for a file: keys hold no slashes. The proxy finds its modules by these names (mounted.py)."""
    return path.replace("/", ".")
