"""Policy: what the policies above an app allow, and a policy in the form of the API server."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from stormc.actions.app_names import is_called, no_app, several_apps
from stormc.emit.canonical import emit_yaml
from stormc.failure import Failure
from stormc.finding import Mark
from stormc.load.sources import Source, read_sources
from stormc.phrase import phrase
from stormc.policy.admission import admission
from stormc.record import NamedTuple
from stormc.repository.namesakes import identify_app
from stormc.repository.policies import policy_of
from stormc.repository.repository import Repository, open_repository


class Allowed(NamedTuple):
    """One field of a policy: what it says, and where."""

    field: str
    value: Any
    file: str
    mark: Mark


def policies_of(specs: Path, app: str) -> list[Allowed]:
    """Everything that policies say of an app, the top platform file first. Raises Failure for no app of that name."""
    repository = open_repository(read_sources(specs))
    source = _app(repository, specs, app)
    return list(_fields(repository, source.directory))


def export_policy(specs: Path, directory: str, name: str) -> list[str]:
    """The policy of a directory below specs as ValidatingAdmissionPolicies: YAML documents, named `name`-….

    Raises Failure for platform files with errors, where no policy holds, and for a `name` that no object may have.
    """
    if re.fullmatch(r"[a-z0-9]([a-z0-9.-]{0,200}[a-z0-9])?", name) is None:
        raise Failure(phrase("{name!r} is no name of an object", name=name))
    repository = open_repository(read_sources(specs))
    below = Path(directory).as_posix().removeprefix(f"{specs.name}/").strip("/.")
    if repository.platforms.is_broken(below):
        raise Failure(phrase("a platform file has errors; run: stormc validate"))
    policy = policy_of(repository.platforms, below)
    if not policy:
        raise Failure(phrase("no policy holds in {directory}", directory=below or specs))
    return [emit_yaml(manifest) for manifest in admission(policy, name)]


def _app(repository: Repository, specs: Path, app: str) -> Source:
    chosen = [source for source in repository.apps if app in (source.file, source.path, f"{specs.name}/{source.path}")]
    labels = [(f"{who.namespace}/{who.name}", s) for s in repository.apps if (who := identify_app(repository, s))]
    chosen = chosen or [source for label, source in labels if is_called(app, label, source.file)]
    if len(chosen) > 1:
        raise several_apps(app, [source.file for source in chosen])
    if not chosen:
        raise no_app(app, [(label, source.file) for label, source in labels])
    return chosen[0]


def _fields(repository: Repository, directory: str) -> Iterator[Allowed]:
    for layer in policy_of(repository.platforms, directory).layers:
        document = repository.platforms.documents[layer.directory]
        for field, value in layer.fields.items():
            yield Allowed(field, value, layer.file, document.locate(("policy", field)))
