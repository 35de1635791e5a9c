"""Which files a specs directory holds, and their bytes; what cannot be read is a finding."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Callable, Collection, Iterator
from pathlib import Path

from stormc.failure import Failure
from stormc.finding import START, Finding
from stormc.load.checks import NOT_UTF_8, OUTSIDE, UNREADABLE
from stormc.load.document import MAX_BYTES
from stormc.phrase import phrase
from stormc.record import NamedTuple

PLATFORM_FILES = ("platform.yaml", "platform.yml")
PROFILES = "profiles"
SUFFIXES = (".yaml", ".yml")
_NOT_IN_NAMES = r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]"
"""What the name of a file must not contain, since rendered files name their spec in a comment: control characters, line
breaks, and bytes that are not UTF-8."""
_READING = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC
"""How files are opened: without O_NONBLOCK, opening a named pipe waits for a writer for ever."""
_FIRST_READ = 8192
"""Bytes of the first read, which is the only one for nearly every spec."""


class Source(NamedTuple):
    """One file: its path below the specs directory, the name that findings carry, and its bytes."""

    path: str
    file: str
    raw: bytes

    @property
    def directory(self) -> str:
        """The directory below the specs directory, empty at its top."""
        return self.path.rpartition("/")[0]

    def directory_of(self, app: str) -> str:
        """The directory below the rendered one that an app of this file takes."""
        return f"{self.directory}/{app}" if self.directory else app

    @property
    def is_platform(self) -> bool:
        """Whether the file describes the platform of its directory."""
        return self.path.endswith(PLATFORM_FILES) and self.path.rpartition("/")[2] in PLATFORM_FILES

    @property
    def is_profile(self) -> bool:
        """Whether the file is a hardware profile of the user's."""
        return self.path.startswith(f"{PROFILES}/") and self.directory == PROFILES


class Sources(NamedTuple):
    """All files of a specs directory in order of path, and what could not be read."""

    root: str
    files: tuple[Source, ...]
    findings: tuple[Finding, ...]

    def spec_file(self, source: Source) -> str:
        """The name that rendered files give a spec: the same wherever the repository is checked out."""
        return f"{self.root}/{source.path}"


PathFilter = Callable[[str], bool]
"""Whether a file is read at all, by its path below the specs directory."""


def every_file(path: str) -> bool:
    """Selects every file."""
    return True


def touched_by(changed: Collection[str]) -> PathFilter:
    """Selects what is needed to compile the apps that these changed files touch.

    That is the changed files and those that several apps share; every file, where a shared one has changed.
    """
    if any(_is_shared(path) for path in changed):
        return every_file
    return lambda path: path in changed or _is_shared(path)


def _is_shared(path: str) -> bool:
    source = Source(path, path, b"")
    return source.is_platform or source.is_profile


def read_sources(specs: Path, selects: PathFilter = every_file) -> Sources:
    """The selected YAML files below a directory, without hidden ones. What cannot be read becomes a finding.

    Symbolic links are followed only to files inside the directory, so that a spec cannot pull in what a reviewer of
    the repository does not see. Raises Failure when `specs` is not a directory, or leads out of its repository.
    """
    if not specs.is_dir():
        raise Failure(
            phrase(
                "{specs} is not a directory: go to a repository, name the place with --specs, or begin one: "
                "stormc init --repo DIR",
                specs=specs,
            )
        )
    root, shown = os.path.realpath(specs), str(specs)
    if _leads_out(specs, root):
        raise Failure(
            phrase("{specs} is a link out of the repository; --specs names the directory itself", specs=specs)
        )
    files: list[Source] = []
    findings: list[Finding] = []
    for path, is_plain in _walk(root, "", findings, shown):
        if not selects(path):
            continue
        file = f"{shown}/{path}"
        content = _read(root, path, file, is_plain)
        if isinstance(content, Finding):
            findings.append(content)
        else:
            files.append(Source(path, file, content))
    name = os.path.basename(root)
    return Sources(name, tuple(files), tuple(findings))


def _leads_out(specs: Path, root: str) -> bool:
    """Whether a directory of specs in a Git repository is a link out of it, or behind one: a branch may bring one."""
    place = os.path.abspath(specs)
    if place == root:
        return False
    parents = (str(each) for each in Path(place).parents)
    top = next((os.path.realpath(each) for each in parents if os.path.lexists(os.path.join(each, ".git"))), None)
    return top is not None and os.path.commonpath((top, root)) != top


def _is_unusable(name: str) -> bool:
    return not name.isprintable() and re.search(_NOT_IN_NAMES, name) is not None


def _walk(root: str, below: str, findings: list[Finding], shown: str) -> Iterator[tuple[str, bool]]:
    """The paths of the YAML files, and whether each is a regular file: what the listing says, as it costs nothing."""
    try:
        entries = sorted(os.scandir(f"{root}/{below}"), key=lambda entry: entry.name)
    except OSError as error:
        findings.append(
            Finding(
                UNREADABLE,
                f"{shown}/{below}".rstrip("/"),
                START,
                phrase("directory cannot be read: {strerror}", strerror=error.strerror),
                phrase("make it readable"),
            )
        )
        return
    for entry in entries:
        name = entry.name
        if name.startswith("."):
            continue
        path = f"{below}/{name}" if below else name
        if name.isprintable() and name.endswith(SUFFIXES) and entry.is_file(follow_symlinks=False):
            yield path, True
        elif _is_unusable(name) and (entry.is_dir() or name.endswith(SUFFIXES)):
            message = phrase("the name is not UTF-8, or holds a control character")
            findings.append(Finding(NOT_UTF_8, f"{shown}/{path}", START, message, phrase("rename it")))
        elif entry.is_dir(follow_symlinks=False):
            yield from _walk(root, path, findings, shown)
        elif entry.is_symlink() and os.path.isdir(entry.path):
            message = phrase("a symbolic link to a directory is not followed")
            findings.append(Finding(OUTSIDE, f"{shown}/{path}", START, message, phrase("move the specs here")))
        elif name.endswith(SUFFIXES):
            yield path, entry.is_file(follow_symlinks=False)


def _read(root: str, path: str, file: str, is_plain: bool) -> bytes | Finding:
    full = f"{root}/{path}"
    try:
        if not is_plain and not os.path.realpath(full).startswith(root + os.sep):
            return Finding(
                OUTSIDE,
                file,
                START,
                phrase("a symbolic link leads out of the specs directory"),
                phrase("copy the file here"),
            )
        handle = os.open(full, _READING)
        try:
            if not is_plain and not stat.S_ISREG(os.fstat(handle).st_mode):
                return Finding(UNREADABLE, file, START, phrase("not a regular file"), phrase("remove it"))
            content = os.read(handle, _FIRST_READ)
            return content if len(content) < _FIRST_READ else _with_rest(handle, content)
        finally:
            os.close(handle)
    except OSError as error:
        return Finding(
            UNREADABLE,
            file,
            START,
            phrase("cannot be read: {strerror}", strerror=error.strerror),
            phrase("make it readable, or remove it"),
        )


def _with_rest(handle: int, content: bytes) -> bytes:
    """The bytes of an open file; one more than the limit when it is over it, so that the loader can tell."""
    while more := os.read(handle, MAX_BYTES + 1 - len(content)):
        content += more
    return content
