"""What policies say: of one app, and as a policy of admission for a cluster."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from stormc.failure import Failure
from stormc.finding import Mark
from stormc.load.sources import Source, read_sources
from stormc.record import NamedTuple
from stormc.repository.namesakes import identity
from stormc.repository.policies import policy_of
from stormc.repository.repository import Repository, open_repository


class Allowed(NamedTuple):
    """One field of a policy: what it says, and where."""

    field: str
    value: Any
    file: str
    mark: Mark


def policy_for(specs: Path, app: str) -> list[Allowed]:
    """Everything that policies say of an app, the top platform file first. Raises Failure for no app of that name."""
    repository = open_repository(read_sources(specs))
    source = _app(repository, specs, app)
    return list(_fields(repository, source.directory))


def _app(repository: Repository, specs: Path, app: str) -> Source:
    chosen = [source for source in repository.apps if app in (source.file, source.path, f"{specs.name}/{source.path}")]
    if not chosen:
        chosen = [source for source in repository.apps if (who := identity(repository, source)) and who.name == app]
    if len(chosen) > 1:
        raise Failure(f"{app} is the name of several apps; name the spec: {', '.join(each.file for each in chosen)}")
    if not chosen:
        raise Failure(f"no app {app} in {specs}")
    return chosen[0]


def _fields(repository: Repository, directory: str) -> Iterator[Allowed]:
    for layer in policy_of(repository.platforms, directory).layers:
        document = repository.platforms.documents[layer.directory]
        for field, value in layer.fields.items():
            yield Allowed(field, value, layer.file, document.locate(("policy", field)))
