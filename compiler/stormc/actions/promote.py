"""Promotion: the tunable fields of an app in one directory become those of its namesake in another."""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from stormc.compile.compilation import Stage
from stormc.failure import Failure
from stormc.finding import Finding, did_you_mean, dotted, has_errors, in_order
from stormc.gitops.promotion import ABSENT, changes, rewritten
from stormc.load.document import load_document
from stormc.load.sources import Source, Sources, read_sources
from stormc.repository.world import World
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


def promote(specs: Path, origin: Path, destination: Path, name: str) -> Promotion:
    """What the app's spec in `destination` becomes; afterwards both apps have the same tunable fields. Writes nothing.

    The values are those that hold, defaults of platform files included. Raises Failure where there is no such app, or
    where the change cannot be made without touching another file or losing a comment.
    """
    world = World(read_sources(specs))
    source, target = _app(world, specs, origin, name), _app(world, specs, destination, name)
    if source.path == target.path:
        raise Failure(f"{origin} and {destination} hold the same app {name}")
    before = target.raw.decode("utf-8-sig", "replace")
    findings = [
        *world.shared_findings,
        *(f for app in (source, target) for f in world.compile(app, Stage.MANIFESTS).findings),
    ]
    if has_errors(findings):
        return Promotion(Path(target.file), before, before, in_order(findings))
    wanted = changes(_data(world, source), _data(world, target))
    own = load_document(target.file, target.raw)[0]
    for path, value in wanted:
        if value is ABSENT and own is not None and path not in own.values:
            raise Failure(f"{dotted(path)} of {target.file} comes from a platform file: take it out there first")
    after = rewritten(before, wanted) if wanted else before
    if lost := [line for line in _comments(before) if line not in _comments(after)]:
        raise Failure(f"{target.file}: this would lose the comment {lost[0]!r}: move it, or make the change by hand")
    promoted = target._replace(raw=after.encode())
    world = World(_with(world.sources, promoted))
    findings = list(world.compile(promoted, Stage.MANIFESTS).findings)
    if not has_errors(findings) and changes(_data(world, source), _data(world, promoted)):
        raise Failure(f"{target.file}: its layout cannot be kept: make the change by hand")
    return Promotion(Path(target.file), before, after, in_order(findings))


def write(promotion: Promotion) -> None:
    """Puts the new text in place of the old one, by rename."""
    rewrite(promotion.file, promotion.after)


def _app(world: World, specs: Path, directory: Path, name: str) -> Source:
    """The only app of that name below the directory."""
    if not directory.is_dir():
        raise Failure(f"{directory} is not a directory")
    below = os.path.relpath(os.path.realpath(directory), os.path.realpath(specs)).replace(os.sep, "/")
    if below.split("/")[0] == "..":
        raise Failure(f"{directory} is not below {specs}")
    apps = [app for app in world.apps if below == "." or app.path.startswith(f"{below}/")]
    names = {app.path: identity.name for app in apps if (identity := world.identity(app))}
    found = [app for app in apps if names.get(app.path) == name]
    if len(found) > 1:
        raise Failure(f"{directory} has more than one app {name}: {', '.join(app.file for app in found)}")
    if not found:
        hint = did_you_mean(name, set(names.values()))
        raise Failure(f"{directory} has no app {name}" + (f"; {hint}" if hint else ""))
    return found[0]


def _data(world: World, app: Source) -> Mapping[str, Any]:
    document, _ = load_document(app.file, app.raw)
    return world.layered(app, document).data if document else {}


def _comments(text: str) -> list[str]:
    return [line.strip() for line in re.findall(r"^\s*#.*$", text, flags=re.M)]


def _with(sources: Sources, changed: Source) -> Sources:
    files = tuple(changed if file.path == changed.path else file for file in sources.files)
    return sources._replace(files=files)
