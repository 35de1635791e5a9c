"""Promotion: the tunable fields of an app in one directory become those of its namesake in another."""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from stormc.compile.compilation import Stage
from stormc.failure import Failure
from stormc.finding import Finding, did_you_mean, dotted, has_errors, in_order
from stormc.gitops.promotion import changes
from stormc.load.document import load_document
from stormc.load.sources import Source, Sources, read_sources
from stormc.payload.read import Payload, read_payload
from stormc.record import NamedTuple
from stormc.repository.namesakes import identity
from stormc.repository.repository import Repository, open_repository
from stormc.text.edit import ABSENT, rewritten
from stormc.text.rewrite import rewrite


class Promotion(NamedTuple):
    """The spec to rewrite with its text before and after, or the errors that forbid it."""

    file: Path
    before: str
    after: str
    findings: list[Finding]

    @property
    def diff(self) -> str:
        """The change as a unified diff; empty where there is none."""
        before, after = (text.splitlines(keepends=True) for text in (self.before, self.after))
        return "".join(difflib.unified_diff(before, after, str(self.file), str(self.file)))


def promote(specs: Path, origin: Path, destination: Path, name: str, *, payload: Payload | None = None) -> Promotion:
    """What the app's spec in `destination` becomes; afterwards both apps have the same tunable fields. Writes nothing.

    The values are those that hold, defaults of platform files included. Raises Failure where there is no such app, or
    where the change cannot be made without touching another file or losing a comment.
    """
    programs = payload or read_payload()
    repository = open_repository(read_sources(specs))
    source, target = _app(repository, specs, origin, name), _app(repository, specs, destination, name)
    if source.path == target.path:
        raise Failure(f"{origin} and {destination} hold the same app {name}")
    before = target.raw.decode("utf-8-sig", "replace")
    both = [repository.compile(app, programs, Stage.MANIFESTS) for app in (source, target)]
    findings = [*repository.findings, *(finding for made in both for finding in made.findings)]
    if has_errors(findings):
        return Promotion(Path(target.file), before, before, in_order(findings))
    after = _after(repository, source, target, before)
    promoted = target._replace(raw=after.encode())
    repository = open_repository(_with(repository.sources, promoted))
    findings = list(repository.compile(promoted, programs, Stage.MANIFESTS).findings)
    if not has_errors(findings) and changes(_data(repository, source), _data(repository, promoted)):
        raise Failure(f"{target.file}: its layout cannot be kept: make the change by hand")
    return Promotion(Path(target.file), before, after, in_order(findings))


def _after(repository: Repository, source: Source, target: Source, before: str) -> str:
    """The text of the target with the tunable fields of the source."""
    differences = changes(_data(repository, source), _data(repository, target))
    own = load_document(target.file, target.raw)[0]
    for path, value in differences:
        if value is ABSENT and own is not None and path not in own.values:
            raise Failure(f"{dotted(path)} of {target.file} comes from a platform file: take it out there first")
    after = rewritten(before, differences) if differences else before
    if lost := [line for line in _comments(before) if line not in _comments(after)]:
        raise Failure(f"{target.file}: this would lose the comment {lost[0]!r}: move it, or make the change by hand")
    return after


def write(promotion: Promotion) -> None:
    """Puts the new text in place of the old one, by rename."""
    rewrite(promotion.file, promotion.after)


def _app(repository: Repository, specs: Path, directory: Path, name: str) -> Source:
    """The only app of that name below the directory."""
    if not directory.is_dir():
        raise Failure(f"{directory} is not a directory")
    below = os.path.relpath(os.path.realpath(directory), os.path.realpath(specs)).replace(os.sep, "/")
    if below.split("/")[0] == "..":
        raise Failure(f"{directory} is not below {specs}")
    apps = [app for app in repository.apps if below == "." or app.path.startswith(f"{below}/")]
    names = {app.path: who.name for app in apps if (who := identity(repository, app))}
    found = [app for app in apps if names.get(app.path) == name]
    if len(found) > 1:
        raise Failure(f"{directory} has more than one app {name}: {', '.join(app.file for app in found)}")
    if not found:
        hint = did_you_mean(name, set(names.values()))
        raise Failure(f"{directory} has no app {name}" + (f"; {hint}" if hint else ""))
    return found[0]


def _data(repository: Repository, app: Source) -> Mapping[str, Any]:
    layered, _ = repository.layered(app)
    return layered.data if layered is not None else {}


def _comments(text: str) -> list[str]:
    return [line.strip() for line in re.findall(r"^\s*#.*$", text, flags=re.M)]


def _with(sources: Sources, changed: Source) -> Sources:
    files = tuple(changed if file.path == changed.path else file for file in sources.files)
    return sources._replace(files=files)
