"""Promotion: the tunable fields of an app in one directory become those of its namesake in another."""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from stormc.compile.compilation import Compilation, Stage
from stormc.failure import Failure
from stormc.finding import Finding, did_you_mean, dotted, has_errors, in_order
from stormc.gitops.promotion import changes, only_in_target
from stormc.load.document import load_document
from stormc.load.sources import Source, Sources, read_sources
from stormc.model.layers import load_minutes
from stormc.payload.read import Payload, read_payload
from stormc.phrase import phrase, with_hint
from stormc.record import NamedTuple
from stormc.repository.namesakes import identify_app
from stormc.repository.repository import Repository, open_repository
from stormc.review.effect import AppEffect, effect
from stormc.text.edit import ABSENT, rewritten
from stormc.text.format import formatted
from stormc.text.rewrite import rewrite


class Promotion(NamedTuple):
    """The spec to rewrite with its text before and after, or the errors that forbid it.

    `only_in_destination` are fields that only this spec has, and that stay. `label` names the app, `effect` is what
    happens to its pods; both are left out where it has no manifests.
    """

    file: Path
    before: str
    after: str
    findings: list[Finding]
    only_in_destination: tuple[str, ...] = ()
    label: str = ""
    effect: AppEffect | None = None

    @property
    def diff(self) -> str:
        """The change as a unified diff; empty where there is none."""
        before, after = (text.splitlines(keepends=True) for text in (self.before, self.after))
        return "".join(difflib.unified_diff(before, after, str(self.file), str(self.file)))


def promote(
    specs: Path, origin: Path, destination: Path, name: str, *, exact: bool = False, payload: Payload | None = None
) -> Promotion:  # fmt: skip
    """The app's spec in `destination` with the tunable fields of its namesake in `origin`. Nothing is written.

    Fields that only the destination has stay, except with `exact`. Values include the defaults of platform files, and
    the text is in canonical form where comments allow it. Raises Failure where there is no such app, and where the
    change would touch another file or lose a comment.
    """
    programs = payload or read_payload()
    repository = open_repository(read_sources(specs))
    source, target = _app(repository, specs, origin, name), _app(repository, specs, destination, name)
    if source.path == target.path:
        raise Failure(
            phrase(
                "{origin} and {destination} hold the same app {name}", origin=origin, destination=destination, name=name
            )
        )
    before = target.raw.decode("utf-8-sig", "replace")
    both = [repository.compile(app, programs, Stage.MANIFESTS) for app in (source, target)]
    findings = [*repository.findings, *(finding for compilation in both for finding in compilation.findings)]
    if has_errors(findings):
        return Promotion(Path(target.file), before, before, in_order(findings))
    staying = () if exact else tuple(map(dotted, only_in_target(_data(repository, source), _data(repository, target))))
    after = _after(repository, source, target, before, exact=exact)
    promoted = target._replace(raw=after.encode())
    repository = open_repository(_with(repository.sources, promoted))
    compilation = repository.compile(promoted, programs, Stage.MANIFESTS)
    if not has_errors(compilation.findings) and changes(
        _data(repository, source), _data(repository, promoted), exact=exact
    ):
        raise Failure(phrase("{file}: its layout cannot be kept: make the change by hand", file=target.file))
    pod_effect = _effect(repository, both[1], compilation) if not has_errors(compilation.findings) else None
    label = f"{compilation.summary.namespace}/{compilation.summary.name}" if compilation.summary is not None else ""
    return Promotion(Path(target.file), before, after, in_order(compilation.findings), staying, label, pod_effect)


def _effect(repository: Repository, before: Compilation, after: Compilation) -> AppEffect | None:
    """What becomes of the pods of the app; None where it has no manifests."""
    if before.compiled is None or after.compiled is None:
        return None
    release = repository.platforms.platform(after.source.directory).aibrix
    minutes = load_minutes(after.layered) if after.layered is not None else None
    return effect(before.compiled.manifests, after.compiled.manifests, (release, release), minutes)


def _after(repository: Repository, source: Source, target: Source, before: str, *, exact: bool) -> str:
    """The text of the target with the tunable fields of the source."""
    differences = changes(_data(repository, source), _data(repository, target), exact=exact)
    own = load_document(target.file, target.raw)[0]
    for path, value in differences:
        if value is ABSENT and own is not None and path not in own.values:
            raise Failure(
                phrase(
                    "{dotted} of {file} comes from a platform file: take it out there first",
                    dotted=dotted(path),
                    file=target.file,
                )
            )
    if not differences:
        return before
    after = rewritten(before, differences)
    after = formatted(target.file, after.encode())[0] or after
    if lost := [line for line in _comments(before) if line not in _comments(after)]:
        raise Failure(
            phrase(
                "{file}: this would lose the comment {lost!r}: move it, or make the change by hand",
                file=target.file,
                lost=lost[0],
            )
        )
    return after


def write_promotion(promotion: Promotion) -> None:
    """Replaces the text of the spec, by rename. Raises Failure for a path through a symbolic link."""
    rewrite(promotion.file, promotion.after)


def _app(repository: Repository, specs: Path, directory: Path, name: str) -> Source:
    """The only app of that name below the directory."""
    if not directory.is_dir():
        raise Failure(phrase("{directory} is not a directory", directory=directory))
    below = os.path.relpath(os.path.realpath(directory), os.path.realpath(specs)).replace(os.sep, "/")
    if below.split("/")[0] == "..":
        raise Failure(phrase("{directory} is not below {specs}", directory=directory, specs=specs))
    apps = [app for app in repository.apps if below == "." or app.path.startswith(f"{below}/")]
    names = {app.path: who.name for app in apps if (who := identify_app(repository, app))}
    matching = [app for app in apps if names.get(app.path) == name]
    if len(matching) > 1:
        raise Failure(
            phrase(
                "{directory} has more than one app {name}: {file}",
                directory=directory,
                name=name,
                file=", ".join(app.file for app in matching),
            )
        )
    if not matching:
        hint = did_you_mean(name, set(names.values()))
        raise Failure(with_hint(phrase("{directory} has no app {name}", directory=directory, name=name), hint))
    return matching[0]


def _data(repository: Repository, app: Source) -> Mapping[str, Any]:
    layered, _ = repository.layered(app)
    return layered.data if layered is not None else {}


def _comments(text: str) -> list[str]:
    return [line.strip() for line in re.findall(r"^\s*#.*$", text, flags=re.M)]


def _with(sources: Sources, changed: Source) -> Sources:
    files = tuple(changed if file.path == changed.path else file for file in sources.files)
    return sources._replace(files=files)
