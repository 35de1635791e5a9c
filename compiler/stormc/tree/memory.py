"""What the last render of a tree learned, so that an unchanged spec is not compiled again.

An entry is valid for one digest of everything that goes into an app (spec, platform files, profiles), and all entries
for one compiler. Only speed depends on it: a missing, foreign or damaged file means that everything is compiled. It
lies in the user's cache directory and never in a work tree: `render --check` believes it, so no branch may
be able to bring one.
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
_COMPILER = b"compiler"


class Memory(NamedTuple):
    """An app as the last render left it: input digest, summary, findings, and the hash of each rendered file.

    `stamp` is that of the files (tree/read.py) when they had these hashes; empty where it is not known.
    """

    digest: str
    summary: Summary
    findings: tuple[Finding, ...]
    hashes: Mapping[str, str]
    stamp: str = ""


class Compiler(NamedTuple):
    """A compiler: the digest of its own files, and their stamp (tree/read.py)."""

    digest: str
    stamp: str


class Memories(NamedTuple):
    """The memories that were asked for, by spec path, and the lines of all memories as they are in the file.

    `compiler` is the one for which they are valid; None where it is not known yet.
    """

    apps: Mapping[str, Memory] = {}
    text: bytes = b""
    compiler: Compiler | None = None

    def after(self, apps: Mapping[str, Memory], *, partly: bool) -> Memories:
        """What to remember after a render of these apps: only they, or after a partial render the others too."""
        earlier = _lines(self.text)
        lines = dict(earlier) if partly else {}
        for path, memory in apps.items():
            key = _key(path)
            lines[key] = earlier[key] if memory is self.apps.get(path) else _line(key, memory)
        return Memories(apps, b"".join(b"\n%b\t%b" % line for line in lines.items()), self.compiler)


def _lines(text: bytes) -> dict[bytes, bytes]:
    """The lines by their keys; what is no such line is left out."""
    parts = (line.partition(b"\t") for line in text.split(b"\n"))
    return {key: line for key, tab, line in parts if tab}


def _parts(content: bytes) -> tuple[bytes, bytes, bytes]:
    """The digest of all lines, the line of the compiler, and the lines, each behind a line feed."""
    first, feed, lines = content.partition(b"\n")
    checksum, _, compiler = first.partition(b"\t")
    return checksum, compiler, feed + lines


def _line_of(text: bytes, key: bytes) -> bytes | None:
    """The line of one key, by a search: splitting a thousand lines takes longer."""
    begin = b"\n%b\t" % key
    at = text.find(begin)
    return text[at + len(begin) :].partition(b"\n")[0] if at >= 0 else None


def _key(path: str) -> bytes:
    return json.dumps(path).encode()


def _line(key: bytes, memory: Memory) -> bytes:
    entry = memory._replace(findings=_with_templates(memory.findings))
    return _sealed(key, json.dumps(entry, separators=(",", ":")).encode())


def _sealed(key: bytes, content: bytes) -> bytes:
    """The content of a key's line with a digest of it: damage shows without parsing the other lines."""
    return b"%b\t%b" % (digest(key, content).encode(), content)


def _unsealed(key: bytes, line: bytes) -> Any:
    """The value of a line; raises ValueError for one that is damaged."""
    checksum, content = line.split(b"\t")
    if checksum.decode() != digest(key, content):
        raise ValueError(line)
    return json.loads(content)


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
    """Whether it is a directory of this user, not a link, that nobody else may enter or put another in place of."""
    try:
        status, above = os.lstat(directory), os.lstat(directory.parent)
    except OSError:
        return False
    return (
        stat.S_ISDIR(status.st_mode) and stat.S_ISDIR(above.st_mode)
        and {status.st_uid, above.st_uid} == {os.geteuid()}
        and not status.st_mode & 0o077 and not above.st_mode & 0o022
    )  # fmt: skip


def recall(directory: Path | None, paths: Iterable[str] | None = None) -> Memories:
    """The memories that are valid for this compiler; empty when there are none or they cannot be trusted.

    `paths` are the specs whose memories are asked for, None for all: reading one takes as long as reading a spec.
    """
    if directory is None or not _is_private(directory):
        return Memories()
    try:
        checksum, first, text = _parts(_content(directory / FILE))
        if paths is None and checksum.decode() != digest(text):
            return Memories()
        earlier = Compiler(*map(_text, _unsealed(_COMPILER, first)))
        compiler = this_compiler(earlier)
        if compiler.digest != earlier.digest:
            return Memories(compiler=compiler)
        if paths is None:
            lines = _lines(text)
        else:
            lines = {key: line for key in map(_key, paths) if (line := _line_of(text, key)) is not None}
        apps = {_text(json.loads(key)): _memory(_unsealed(key, line)) for key, line in lines.items()}
        return Memories(apps, text, compiler)
    except (OSError, ValueError, TypeError, KeyError, IndexError, AttributeError, RecursionError):
        return Memories()


def _memory(entry: list[Any]) -> Memory:
    """One entry, every value of it of its type; raises ValueError or TypeError for anything else."""
    input_digest, summary, findings, hashes, stamp = _items(entry)
    remembered = _summary(summary)
    files = _files(hashes, remembered.directory)
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


def _files(digests: Any, directory: str) -> dict[str, str]:
    """Digests by path. Every file is one that the layout makes: directly in the app's directory."""
    if not isinstance(digests, dict) or not {str}.issuperset(map(type, digests.values())):
        raise TypeError(digests)
    if ".." in directory.split("/"):
        raise ValueError(directory)
    for path in digests:
        is_inside = path.rfind("/") == len(directory) and path.startswith(directory)
        if not is_inside or not path.endswith(".yaml") or "\0" in path:
            raise ValueError(path)
    return digests


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
    """Writes the memories of an output directory, atomically; does nothing where their directory cannot be written."""
    if directory is None:
        return
    compiler = _sealed(_COMPILER, json.dumps(memories.compiler or this_compiler()).encode())
    temporary = directory / f"{FILE}.{os.urandom(8).hex()}"
    try:
        directory.parent.mkdir(0o700, parents=True, exist_ok=True)
        is_new = not directory.exists()
        directory.mkdir(0o700, exist_ok=True)
        if not _is_private(directory):
            return
        note_output(directory, out)
        with open(temporary, "xb") as file:  # x: a new file, never through a link
            file.write(b"%b\t%b%b" % (digest(memories.text).encode(), compiler, memories.text))
        temporary.replace(directory / FILE)
        if is_new:
            remove_forgotten(directory.parent, time.time())
    except OSError:
        with suppress(OSError):
            temporary.unlink()
