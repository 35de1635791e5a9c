"""What the last render of a tree found out, so that an unchanged spec is not compiled again.

An entry holds for one digest of everything that goes into an app: spec, platform files, profiles, compiler sources.
Nothing depends on it but speed: a missing, foreign or damaged file means that everything is compiled. It lies in the
user's cache directory and never in a work tree: `render --check` believes it, so no branch may be able to bring one.
"""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Iterable, Mapping
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

from stormc.digest import digest
from stormc.finding import Finding, Mark
from stormc.model.summary import Summary
from stormc.record import NamedTuple

FILE = "compiled.json"


class Memory(NamedTuple):
    """An app as the last render left it: input digest, summary, findings, and the hash of each rendered file.

    `stamp` is what the file system said of the files when they had these hashes; empty where it is not known.
    """

    digest: str
    summary: Summary
    findings: tuple[Finding, ...]
    hashes: Mapping[str, str]
    stamp: str = ""


@cache
def compiler_digest() -> str:
    """A digest of the compiler's own sources and data, the proxy's digests among them: a change makes memories void."""
    compiler = os.path.dirname(os.path.dirname(__file__))
    parts = []
    for directory, names, files in os.walk(compiler):
        names[:] = sorted(name for name in names if name != "__pycache__")
        for name in sorted(files):
            if name.endswith((".py", ".yaml", ".json")):
                with open(f"{directory}/{name}", "rb") as file:
                    parts += [name.encode(), file.read()]
    return digest(*parts)


def input_digest(parts: Iterable[bytes]) -> str:
    """A digest of everything that an app is compiled from."""
    return digest(compiler_digest().encode(), *parts)


def memory_directory(out: Path, specs: Path) -> Path | None:
    """Where the memory of an output directory lies: `$XDG_CACHE_HOME/stormc/<digest of its real path>`.

    None where a branch could bring the file: inside a Git work tree, or the directories that hold `out` and `specs`.
    """
    home = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    if not os.path.isabs(home):  # the XDG specification: relative paths are ignored; they would name the work tree
        return None
    real = os.path.realpath(out)
    directory = Path(os.path.realpath(home), "stormc", digest(os.fsencode(real)))
    beside = {Path(real).parent, Path(os.path.realpath(specs)).parent}
    in_a_tree = any(parent in beside or os.path.lexists(parent / ".git") for parent in directory.parents)
    return None if in_a_tree else directory


def _is_private(directory: Path) -> bool:
    """Whether it is a directory and no link, of this user, that nobody else may enter, in one that only he changes."""
    try:
        status, above = os.lstat(directory), os.lstat(directory.parent)
    except OSError:
        return False
    return (
        stat.S_ISDIR(status.st_mode) and stat.S_ISDIR(above.st_mode)
        and {status.st_uid, above.st_uid} == {os.geteuid()}
        and not status.st_mode & 0o077 and not above.st_mode & 0o022
    )  # fmt: skip


def recall(directory: Path | None) -> dict[str, Memory]:
    """The memories by spec path; empty when there are none or they cannot be trusted."""
    if directory is None or not _is_private(directory):
        return {}
    try:
        checksum, _, text = _content(directory / FILE).partition(b"\n")
        if checksum.decode() != digest(text):
            return {}
        data = json.loads(text)
        if data["compiler"] != compiler_digest():
            return {}
        return {_text(path): _memory(entry) for path, entry in data["apps"].items()}
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return {}


def _memory(entry: list[Any]) -> Memory:
    """One entry, every value of it of its type; raises ValueError or TypeError for anything else."""
    input_digest, summary, findings, hashes, stamp = _items(entry)
    remembered = _summary(summary)
    files = {_file(path, remembered.directory): _text(known) for path, known in hashes.items()}
    return Memory(_text(input_digest), remembered, tuple(map(_finding, _items(findings))), files, _text(stamp))


def _summary(entry: list[Any]) -> Summary:
    """The order is that of Summary's fields."""
    namespace, name, directory, hardware, npus, seconds, file, mark, *optional = _items(entry)
    cluster, inventory, model, expiries, ports, shared = optional
    return Summary(
        _text(namespace), _text(name), _text(directory), _text(hardware), _number(npus), _number(seconds),
        _text(file), _mark(mark), _text(cluster), None if inventory is None else _text(inventory), _text(model),
        tuple((_number(index), _text(day)) for index, day in map(_items, _items(expiries))),
        tuple((_number(first), _number(last)) for first, last in map(_items, _items(ports))),
        tuple(map(_text, _items(shared))),
    )  # fmt: skip


def _finding(entry: list[Any]) -> Finding:
    rule, file, mark, message, hint, path, meant = _items(entry)
    steps = tuple(step if isinstance(step, str) else _number(step) for step in _items(path))
    known = None if meant is None else _text(meant)
    return Finding(_text(rule), _text(file), _mark(mark), _text(message), _text(hint), steps, known)


def _mark(entry: list[Any]) -> Mark:
    line, column, end_line, end_column = map(_number, _items(entry))
    return Mark(line, column, end_line, end_column)


def _file(path: str, directory: str) -> str:
    """The path of a rendered file as the layout makes it: directly in the app's directory."""
    above, _, name = _text(path).rpartition("/")
    if above != directory or not name.endswith(".yaml") or "\0" in path or ".." in path.split("/"):
        raise ValueError(path)
    return path


def _items(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise TypeError(value)
    return value


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(value)
    return value


def _number(value: Any) -> int:
    if type(value) is not int or value < 0:  # not bool
        raise TypeError(value)
    return value


def _content(file: Path) -> bytes:
    handle = os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(handle, "rb") as stream:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise ValueError("not a regular file")
        return stream.read()


def remember(directory: Path | None, memories: Mapping[str, Memory]) -> None:
    """Keeps the memories for the next render; atomic, and silent where the directory cannot be written."""
    if directory is None:
        return
    text = json.dumps({"compiler": compiler_digest(), "apps": memories}, separators=(",", ":")).encode()
    temporary = directory / f"{FILE}.{os.urandom(8).hex()}"
    try:
        directory.parent.mkdir(0o700, parents=True, exist_ok=True)
        directory.mkdir(0o700, exist_ok=True)
        if not _is_private(directory):
            return
        with open(temporary, "xb") as file:  # x: a new file, never through a link
            file.write(digest(text).encode() + b"\n" + text)
        temporary.replace(directory / FILE)
    except OSError:
        with suppress(OSError):
            temporary.unlink()
