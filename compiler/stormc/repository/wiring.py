"""The GitOps wiring that the platform files of a repository ask for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from stormc.finding import Finding
from stormc.model.summary import Summary
from stormc.record import NamedTuple
from stormc.repository.policies import wiring_findings
from stormc.repository.repository import Repository
from stormc.tree.shared import Place

if TYPE_CHECKING:
    from stormc.gitops.wiring import Request, Wiring


class Wired(NamedTuple):
    """What the platform files ask for, settled on the apps below them, and what is wrong with it."""

    wirings: Sequence[Wiring] = ()
    findings: Sequence[Finding] = ()


def wiring_requests(repository: Repository) -> list[Request]:
    """The platform files that ask for GitOps wiring. Without one, nothing of it is imported."""
    documents = repository.platforms.documents
    asking = [directory for directory, document in documents.items() if "gitops" in document.data]
    if not asking:
        return []
    from stormc.gitops.wiring import Request

    requests = []
    for directory in asking:
        gitops, mark = repository.platforms.platform(directory).gitops, documents[directory].locate(("gitops",))
        source = repository.platforms.sources[directory]
        requests.append(Request(directory, gitops, repository.sources.spec_file(source), source.file, mark))
    return requests


def shared_needs(repository: Repository, summaries: Sequence[Summary]) -> dict[Place, frozenset[str]]:
    """What the apps of each place share, by the scopes of the wiring."""
    requests = wiring_requests(repository)
    needs: dict[Place, frozenset[str]] = {}
    for app in summaries:
        if app.shared:
            place = _place(requests, app)
            needs[place] = needs.get(place, frozenset()).union(app.shared)
    return needs


def _place(requests: Sequence[Request], app: Summary) -> Place:
    if not requests:
        return Place("", app.namespace)
    from stormc.gitops.wiring import shared_place

    return shared_place(requests, app)


def wire(repository: Repository, summaries: Sequence[Summary]) -> Wired:
    """The wiring of all apps. It belongs to the whole tree: a run over some of the apps has none."""
    requests = wiring_requests(repository)
    if not requests:
        return Wired()
    from stormc.gitops.wiring import check_wirings, wirings

    made = wirings(requests, summaries)
    return Wired(made, [*check_wirings(made, summaries), *wiring_findings(repository, made)])
