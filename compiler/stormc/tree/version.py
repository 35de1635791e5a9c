"""Which stormc rendered a tree: `.stormc` at its top, a line per directory of specs. No GitOps engine reads it.

With it, `render --check` can say that another version rendered the tree, instead of that nobody did. The file itself is
not compared: a tree in which this stormc would change nothing is right, whichever version rendered it.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Collection, Iterable, Mapping
from itertools import groupby
from pathlib import Path

from stormc.tree.layout import is_of_an_earlier_release
from stormc.tree.read import on_disk
from stormc.tree.shared import DIRECTORY as SHARED

WIRING = "_gitops"
FILE = ".stormc"
EARLIER = "0.1"
"""The version of a tree without the file, if the first lines of its manifests are in the form of that time."""

_FIRST_LINE = "# The version of stormc that rendered each directory; stormc writes this file.\n"
_LINE = re.compile(r"(?P<directory>[^:#\n]{1,4096}): (?P<version>[0-9A-Za-z.+!-]{1,40})")
_MOST_BYTES = 1 << 20


def is_version_file(out: Path, path: str) -> bool:
    """Whether a path below the tree is that of the regular file with the versions."""
    try:
        return path == FILE and stat.S_ISREG(os.lstat(out / FILE).st_mode)
    except OSError:
        return False


def read_versions(out: Path) -> dict[str, str]:
    """The version by directory of specs ("" for their top); empty without a readable file."""
    text = (on_disk(out, FILE, _MOST_BYTES) or b"").decode("utf-8", "replace")
    matches = (_LINE.fullmatch(line) for line in text.splitlines())
    return {line["directory"].removeprefix("."): line["version"] for line in matches if line is not None}


def version_text(versions: Mapping[str, str]) -> bytes:
    """The content of the file."""
    return (
        _FIRST_LINE + "".join(f"{directory or '.'}: {versions[directory]}\n" for directory in sorted(versions))
    ).encode()


def spec_directory(path: str) -> str:
    """The directory of specs that a rendered file belongs to: that of its app, or of what apps there share."""
    steps = path.split("/")
    reserved = [at for at, step in enumerate(steps) if step in (SHARED, WIRING)]
    return "/".join(steps[: reserved[0]] if reserved else steps[:-2])


def other_versions(out: Path, changed: Iterable[str], version: str) -> dict[str, str]:
    """The versions other than this one that made the directories of files that would change, by directory."""
    known, others = read_versions(out), {}
    for above, paths in groupby(changed, os.path.dirname):
        directory = spec_directory(f"{above}/")
        if directory in others:
            continue
        made_by = known.get(directory)
        if made_by is None and os.path.lexists(out / above) and any(_is_of_an_earlier_release(out, p) for p in paths):
            made_by = EARLIER
        if made_by is not None and made_by != version:
            others[directory] = made_by
    return others


def _is_of_an_earlier_release(out: Path, path: str) -> bool:
    return is_of_an_earlier_release(on_disk(out, path, _MOST_BYTES) or b"")


def versions_after(
    out: Path, changed: Iterable[str], complete: Collection[str], version: str, *, partly: bool
) -> dict[str, str]:
    """The versions by directory after a render by this version.

    `complete` are the directories of specs of which all apps were rendered, `changed` the files that changed. A
    directory without a changed file keeps its version. `partly` says that there are other directories.
    """
    known, touched = read_versions(out), {spec_directory(f"{above}/") for above in set(map(os.path.dirname, changed))}
    unchanged = {directory: made_by for directory, made_by in known.items() if partly or directory in complete}
    fresh = {directory: version for directory in complete if directory in touched or directory not in known}
    return {**unchanged, **fresh}
