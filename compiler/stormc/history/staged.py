"""What the next commit holds: the files of Git's index, compared with those of the work tree."""

from __future__ import annotations

import os
from collections.abc import Iterable
from hashlib import sha1, sha256
from pathlib import Path

from git import GitCommandError

from stormc.failure import Failure
from stormc.history.repository import open_repository
from stormc.record import NamedTuple


class Unstaged(NamedTuple):
    """Paths below a directory: not in the index at all, there with other content, and there but no longer wanted."""

    missing: tuple[str, ...]
    different: tuple[str, ...]
    left: tuple[str, ...]


def unstaged(directory: Path, wanted: Iterable[str], scope: Iterable[str] | None) -> Unstaged:
    """How the index below a directory differs from the wanted files, whose content is that of the work tree.

    `scope` are the directories below that a missing wish is looked for in, None for everything. A file that Git
    ignores counts as missing. Raises Failure outside of a repository.
    """
    start = directory if directory.is_dir() else directory.parent
    with open_repository(start) as repository:
        top = os.path.realpath(str(repository.working_dir))
        below = os.path.relpath(os.path.realpath(directory), top).replace(os.sep, "/")
        try:
            listing = repository.git.ls_files("-z", "--full-name", "--stage", "--", f":(top,literal){below}")
        except GitCommandError as error:
            raise Failure(f"git ls-files: {error.stderr.strip()}") from None
    index = {}
    for line in filter(None, listing.split("\0")):
        facts, _, path = line.partition("\t")
        index[path.removeprefix(f"{below}/")] = facts.split()[1]
    files = sorted(wanted)
    missing = [path for path in files if path not in index]
    different = [p for p in files if p in index and _blob(f"{directory}/{p}", len(index[p])) != index[p]]
    inside = None if scope is None else {f"{place}/" for place in scope}
    left = [p for p in sorted(index.keys() - set(files)) if inside is None or f"{p.rpartition('/')[0]}/" in inside]
    return Unstaged(tuple(missing), tuple(different), tuple(left))


def _blob(path: str, length: int) -> str:
    """The name that Git gives the content of a file; repositories have SHA-1 or, with longer names, SHA-256."""
    try:
        content = Path(path).read_bytes()
    except OSError:
        return ""
    header = b"blob %d\0" % len(content)
    return (sha1 if length == 40 else sha256)(header + content).hexdigest()
