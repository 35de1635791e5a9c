"""What the next commit will hold: Git's index, compared with the files of the work tree.

The hook of every commit needs this, so Git is called without GitPython: importing that takes as long as the rest.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path

from stormc.failure import Failure
from stormc.history.settings import SAFE, VARIABLES, top_of
from stormc.phrase import phrase
from stormc.record import NamedTuple

try:
    # hashlib would load OpenSSL (stormc/digest.py)
    from _sha1 import sha1  # type: ignore[import-not-found]
except ImportError:
    from hashlib import sha1


class Unstaged(NamedTuple):
    """Paths below a directory: not in the index, in it with other content, and in it although they are not expected."""

    missing: tuple[str, ...]
    different: tuple[str, ...]
    leftover: tuple[str, ...]


_MOST_PLACES = 200
"""Directories that Git is asked about one by one; a command line has its limits."""


def unstaged(directory: Path, expected: Iterable[str], scope: Collection[str] | None) -> Unstaged:
    """How the index below a directory differs from the expected files as they are in the work tree.

    `scope` limits the look at leftover files to the files of these directories; None looks everywhere. A file that Git
    ignores counts as missing. Raises Failure outside of a repository, and without Git.
    """
    files = sorted(expected)
    places = {*scope, *(path.rpartition("/")[0] or path for path in files)} if scope is not None else set()
    index = indexed(directory, sorted(places) if 0 < len(places) <= _MOST_PLACES else [""])
    missing = [path for path in files if path not in index]
    different = [p for p in files if p in index and _blob(f"{directory}/{p}", len(index[p])) != index[p]]
    inside = None if scope is None else {f"{place}/" for place in scope}
    leftover = [p for p in sorted(index.keys() - set(files)) if inside is None or f"{p.rpartition('/')[0]}/" in inside]
    return Unstaged(tuple(missing), tuple(different), tuple(leftover))


def is_tracked(path: Path) -> bool:
    """Whether Git's index has a file or link, or one below a directory; False without Git or a repository."""
    try:
        return bool(indexed(path))
    except Failure:
        return False


def indexed(path: Path, inside: Sequence[str] = ("",)) -> Mapping[str, str]:
    """The names of the contents that Git's index has for a file or link, or for what lies below a directory.

    They stand by their paths below `path`, "" for itself; `inside` are the places below it that count. Raises Failure
    outside of a repository, and without Git.
    """
    place = f"{os.path.realpath(path.parent)}/{path.name}" if path.is_symlink() else os.path.realpath(path)
    top = top_of(Path(place if os.path.isdir(place) and not path.is_symlink() else os.path.dirname(place)))
    if top is None:
        raise Failure(phrase("{path} is in no Git repository", path=path))
    below = os.path.relpath(place, top).replace(os.sep, "/")
    prefix = "" if below == "." else f"{below}/"
    specs = [f":(top,literal){prefix}{each}".rstrip("/") for each in inside]
    listing = _git(top, "ls-files", "-z", "--full-name", "--stage", "--", *specs)
    contents = {}
    for line in filter(None, listing.split("\0")):
        facts, _, name = line.partition("\t")
        contents["" if name == below else name.removeprefix(prefix)] = facts.split()[1]
    return contents


def _git(top: Path, *arguments: str) -> str:
    """What Git prints. Its complaints go where ours go; raises Failure after them."""
    reading, writing = os.pipe()
    settings = [part for setting in SAFE for part in ("-c", setting)]
    try:
        child = os.posix_spawnp(
            "git", ["git", "-C", str(top), *settings, *arguments], {**os.environ, **VARIABLES},
            file_actions=[(os.POSIX_SPAWN_DUP2, writing, 1)],
        )  # fmt: skip
    except OSError:
        os.close(reading)
        raise Failure(phrase("git is not on the PATH")) from None
    finally:
        os.close(writing)
    with open(reading, "rb") as stream:
        output = stream.read()
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if code:
        raise Failure(phrase("git {arguments} ended with {code}", arguments=arguments[0], code=code))
    return os.fsdecode(output)


def _blob(path: str, length: int) -> str:
    """The name that Git gives the content of a file; repositories have SHA-1 or, with longer names, SHA-256."""
    try:
        content = Path(path).read_bytes()
    except OSError:
        return ""
    blob = b"blob %d\0" % len(content) + content
    if length == 40:
        return str(sha1(blob).hexdigest())
    from hashlib import sha256  # such repositories are rare

    return sha256(blob).hexdigest()
