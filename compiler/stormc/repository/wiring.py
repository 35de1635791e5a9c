"""The GitOps wiring that the platform files of a repository ask for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from stormc.finding import Finding
from stormc.model.summary import Summary
from stormc.phrase import phrase
from stormc.record import NamedTuple
from stormc.repository.checks import OTHER_CLUSTER
from stormc.repository.policies import wiring_findings
from stormc.repository.repository import Repository
from stormc.tree.shared import Place

if TYPE_CHECKING:
    from stormc.gitops.wiring import Request, Wiring


class Wired(NamedTuple):
    """The wiring of each platform file that asks for it, with the apps below it, and findings on the wiring."""

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
        platform, mark = repository.platforms.platform(directory), documents[directory].locate(("gitops",))
        source = repository.platforms.sources[directory]
        spec_file = repository.sources.spec_file(source)
        requests.append(Request(directory, platform.gitops, spec_file, source.file, mark, platform.cluster_name))
    return requests


def shared_needs(repository: Repository, summaries: Sequence[Summary]) -> dict[Place, frozenset[str]]:
    """The names of the shared ConfigMaps that the apps of each place mount."""
    requests = wiring_requests(repository)
    needs: dict[Place, frozenset[str]] = {}
    for app in summaries:
        if app.shared:
            place = _place(repository, requests, app)
            needs[place] = needs.get(place, frozenset()).union(app.shared)
    return needs


def _place(repository: Repository, requests: Sequence[Request], app: Summary) -> Place:
    """Where an app finds what it shares: in the scope of its wiring, else at the top of its cluster's directories."""
    if requests:
        from stormc.gitops.wiring import nearest, shared_place

        if nearest(requests, app.directory) is not None:
            return shared_place(requests, app)
    documents = repository.platforms.documents
    named = [directory for directory, document in documents.items() if document.data.get("cluster") == app.cluster]
    return Place(min(named, default=""), app.namespace)


def wire(repository: Repository, summaries: Sequence[Summary]) -> Wired:
    """The wiring of all apps, which `summaries` must hold: wiring is about the whole tree."""
    requests = wiring_requests(repository)
    if not requests:
        return Wired()
    from stormc.gitops.wiring import check_wirings, settle_wirings

    wirings = settle_wirings(requests, summaries)
    findings = [*_other_clusters(repository, requests), *check_wirings(wirings, summaries)]
    return Wired(wirings, [*findings, *wiring_findings(repository, wirings)])


def _other_clusters(repository: Repository, requests: Sequence[Request]) -> Iterator[Finding]:
    """E308: platform files that name another cluster than the wiring above them deploys to."""
    from stormc.gitops.wiring import nearest

    for directory, document in repository.platforms.documents.items():
        name = document.data.get("cluster")
        if not isinstance(name, str) or "gitops" in document.data:
            continue
        request = nearest(requests, f"{directory}/")
        if request is not None and request.cluster != name:
            yield Finding(
                OTHER_CLUSTER, document.file, document.locate(("cluster",)),
                phrase("the apps here run on cluster {name}, but {file} wires them to its own", name=name,
                       file=request.file),
                phrase("write gitops: here too, with a project and a server of this cluster"), ("cluster",),
            )  # fmt: skip
