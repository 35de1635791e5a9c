"""Which apps a command is about: all, those that paths name, or those that a change of files touches."""

from __future__ import annotations

import os
from collections.abc import Collection, Sequence
from pathlib import Path

from stormc.failure import Failure
from stormc.load.sources import SUFFIXES, Source
from stormc.phrase import phrase, with_hint
from stormc.repository.platforms import above
from stormc.repository.repository import Repository


def select(repository: Repository, specs: Path, selected: Sequence[Path]) -> list[Source]:
    """The apps that paths on the command line name: files, or directories with all apps below them.

    A platform file stands for the apps below its directory, a profile for all apps. No path at all means
    every app. Raises Failure.
    """
    if not selected:
        return list(repository.apps)
    chosen: dict[str, Source] = {}
    for path in selected:
        chosen.update((source.path, source) for source in _named(repository, specs, path))
    return [chosen[path] for path in sorted(chosen)]


def _named(repository: Repository, specs: Path, path: Path) -> list[Source]:
    below = _below(repository, specs, path)
    if not below or path.is_dir():
        inside = f"{below}/" if below else ""
        return [source for source in repository.apps if source.path.startswith(inside)]
    if apps := affected(repository, {below}):
        return apps
    readable = {source.path for source in repository.sources.files}
    unreadable = {finding.file for finding in repository.sources.findings}
    if below not in readable and f"{specs}/{below}" not in unreadable:
        raise Failure(phrase("{path} is no spec", path=path)) if path.exists() else _missing(repository, specs, path)
    return []


def _missing(repository: Repository, specs: Path, path: Path) -> Failure:
    """That a path does not exist, with the one below specs that may be meant: `chat` for specs/staging/chat.yaml."""
    words = (path.as_posix(), path.with_suffix("").as_posix())
    meant = [s.file for s in repository.apps if any(f"/{s.path.rpartition('.')[0]}".endswith(f"/{w}") for w in words)]
    if (specs / path).is_dir():
        meant = [(specs / path).as_posix()]
    hint = phrase("did you mean {meant}?", meant=meant[0]) if meant else ""
    return Failure(with_hint(phrase("{path} does not exist", path=path), hint))


def _below(repository: Repository, specs: Path, path: Path) -> str:
    """The path below the specs directory, empty for that itself; the last step is not followed if it is a link."""
    root = os.path.realpath(specs)
    if os.path.realpath(path) == root:
        return ""
    full = os.path.realpath(path.parent) + os.sep + path.name if path.name else os.fspath(path)
    below = os.path.relpath(full, root).replace(os.sep, "/")
    if below.startswith("../"):
        raise (
            Failure(phrase("{path} is not below {specs}", path=path, specs=specs))
            if path.exists()
            else _missing(repository, specs, path)
        )
    return "" if below == "." else below


def affected(repository: Repository, paths: Collection[str]) -> list[Source]:
    """The apps that a change of these files touches: a platform file's are those below it, a profile's are all.

    The files need not exist any more.
    """
    changed = [Source(path, path, b"") for path in paths if path.endswith(SUFFIXES)]
    if any(source.is_profile for source in changed):
        return list(repository.apps)
    platforms = {source.directory for source in changed if source.is_platform}
    if not platforms:
        return [app for app in repository.apps if app.path in paths]
    return [app for app in repository.apps if app.path in paths or not platforms.isdisjoint(above(app.directory))]
