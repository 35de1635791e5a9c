"""What the last render of a tree found out, so that an unchanged spec is not compiled again.

An entry holds for one digest of everything that goes into an app: spec, platform files, profiles; and all of them for
one compiler.
Nothing depends on it but speed: a missing, foreign or damaged file means that everything is compiled. It lies in the
user's cache directory and never in a work tree: `render --check` believes it, so no branch may be able to bring one.
"""

from __future__ import annotations

import json
import os
import stat
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from stormc.digest import digest
from stormc.finding import Finding, Mark
from stormc.model.summary import Summary
from stormc.phrase import Phrase, phrase
from stormc.record import NamedTuple
from stormc.tree.forgotten import MEMORY, note_output, remove_forgotten
from stormc.tree.read import stamp

FILE = MEMORY


class Memory(NamedTuple):
    """An app as the last render left it: input digest, summary, findings, and the hash of each rendered file.

    `stamp` is what the file system said of the files when they had these hashes; empty where it is not known.
    """

    digest: str
    summary: Summary
    findings: tuple[Finding, ...]
    hashes: Mapping[str, str]
    stamp: str = ""


class Compiler(NamedTuple):
    """Which compiler it was: the digest of its own files, and what the file system says of them (tree/read.py)."""

    digest: str
    stamp: str


class Memories(NamedTuple):
    """The memories by spec path that somebody wants, and the lines of all, as they stand in the file.

    The compiler is the one that they hold for, None where nobody needed to know it yet.
    """

    apps: Mapping[str, Memory] = {}
    lines: Mapping[bytes, bytes] = {}
    compiler: Compiler | None = None

    def after(self, apps: Mapping[str, Memory], partly: bool) -> Memories:
        """What to remember after a render of these apps: those alone, or where it went over some, the others too."""
        lines = dict(self.lines) if partly else {}
        for path, memory in apps.items():
            key = _key(path)
            lines[key] = self.lines[key] if memory is self.apps.get(path) else _line(memory)
        return Memories(apps, lines, self.compiler)


def _key(path: str) -> bytes:
    return json.dumps(path).encode()


def _line(memory: Memory) -> bytes:
    entry = memory._replace(findings=_with_templates(memory.findings))
    return json.dumps(entry, separators=(",", ":")).encode()


COMPILER = Path(__file__).parents[1]
_JUST_NOW = 2_000_000_000
"""Nanoseconds in which a file may be written twice without a stamp that shows it, on any file system."""


def this_compiler(known: Compiler | None = None) -> Compiler:
    """The compiler that runs. Its files are read only where their stamp is not that of the known one."""
    paths = []
    for directory, names, files in os.walk(COMPILER):
        names[:] = sorted(name for name in names if name != "__pycache__")
        below = directory.removeprefix(str(COMPILER)).lstrip("/")
        paths += [os.path.join(below, name) for name in sorted(files) if name.endswith((".py", ".yaml", ".json"))]
    current = stamp(COMPILER, paths, time.time_ns() - _JUST_NOW)
    if known is not None and current and current == known.stamp:
        return known
    contents = [part for path in paths for part in (path.encode(), (COMPILER / path).read_bytes())]
    return Compiler(digest(*contents), current)


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


def recall(directory: Path | None, wanted: Iterable[str] | None = None) -> Memories:
    """The memories of the compiler that runs; empty when there are none or they cannot be trusted.

    `wanted` are the specs of which somebody asks, None for all: an entry takes as long to read as a spec.
    """
    if directory is None or not _is_private(directory):
        return Memories()
    try:
        checksum, _, text = _content(directory / FILE).partition(b"\n")
        if checksum.decode() != digest(text):
            return Memories()
        first, *others = text.split(b"\n")
        earlier = Compiler(*map(_text, json.loads(first)))
        compiler = this_compiler(earlier)
        if compiler.digest != earlier.digest:
            return Memories(compiler=compiler)
        lines = dict(line.split(b"\t") for line in others)
        keys = lines if wanted is None else [key for key in map(_key, wanted) if key in lines]
        return Memories({_text(json.loads(k)): _memory(json.loads(lines[k])) for k in keys}, lines, compiler)
    except (OSError, ValueError, TypeError, KeyError, IndexError, AttributeError, RecursionError):
        return Memories()


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
        tuple((_number(first), _number(last), _text(at)) for first, last, at in map(_items, _items(ports))),
        tuple(map(_text, _items(shared))),
    )  # fmt: skip


def _finding(entry: list[Any]) -> Finding:
    rule, file, mark, message, hint, path, meant = _items(entry)
    steps = tuple(step if isinstance(step, str) else _number(step) for step in _items(path))
    known = None if meant is None else _text(meant)
    return Finding(_text(rule), _text(file), _mark(mark), _phrase(message), _phrase(hint), steps, known)


def _phrase(entry: Any) -> Phrase:
    """A phrase from its template and values; a value is a phrase, or as it is."""
    template, values = _items(entry)
    if not isinstance(values, dict):
        raise TypeError(values)
    return phrase(
        _text(template),
        **{name: _phrase(value) if isinstance(value, list) else value for name, value in values.items()},
    )


def _with_templates(value: Any) -> Any:
    """A value as JSON keeps it: phrases with their templates, so that they can be shown in any language."""
    if isinstance(value, Phrase):
        return value.template, {name: _with_templates(part) for name, part in value.values.items()}
    return tuple(map(_with_templates, value)) if isinstance(value, tuple) else value


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


def remember(directory: Path | None, out: Path, memories: Memories) -> None:
    """Keeps the memories of an output directory; atomic, and silent where their directory cannot be written."""
    if directory is None:
        return
    first = json.dumps(memories.compiler or this_compiler()).encode()
    text = b"\n".join([first, *(b"%b\t%b" % line for line in memories.lines.items())])
    temporary = directory / f"{FILE}.{os.urandom(8).hex()}"
    try:
        directory.parent.mkdir(0o700, parents=True, exist_ok=True)
        is_new = not directory.exists()
        directory.mkdir(0o700, exist_ok=True)
        if not _is_private(directory):
            return
        note_output(directory, out)
        with open(temporary, "xb") as file:  # x: a new file, never through a link
            file.write(digest(text).encode() + b"\n" + text)
        temporary.replace(directory / FILE)
        if is_new:
            remove_forgotten(directory.parent, time.time())
    except OSError:
        with suppress(OSError):
            temporary.unlink()
