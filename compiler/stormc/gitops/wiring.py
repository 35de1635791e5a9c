"""The wiring of a directory of apps: what Argo CD or Flux needs, in which files, under which names.

`_gitops/` lies beside the apps whose platform file asks for it. For each engine it holds one directory that people
apply once, and below it one that the engine then keeps up to date by itself.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from stormc.facts.kinds import IN_CLUSTER
from stormc.facts.limits import LABEL_BYTES
from stormc.finding import Check, Finding, Mark, Path
from stormc.model.profile import Gitops
from stormc.model.summary import Summary
from stormc.phrase import phrase
from stormc.record import NamedTuple
from stormc.tree.shared import Place

CHECKS = (
    Check(
        "E304",
        "No app renders into a directory that stormc keeps for itself.",
        "`_gitops` holds what Argo CD and Flux read, `_shared` what the apps of a namespace share; an app there would "
        "be taken for it.",
    ),
    Check(
        "E305",
        "An Argo CD project belongs to one platform file.",
        "Two that write the same AppProject overwrite each other's permissions at every sync.",
    ),
    Check(
        "E306",
        "Names of GitOps objects are unique and short enough.",
        "They are made of directories and app; Argo CD and Flux refuse or overwrite what collides or is too long.",
    ),
    Check(
        "W309",
        "What the apps of a namespace share has one owner on its cluster.",
        "Two wirings that name no cluster may mean the same one. There each of them owns the launcher and the proxy of "
        "a namespace that both use: Argo CD refuses the second Application (FailOnSharedResource), and Flux takes the "
        "objects from one to the other.",
    ),
)
RESERVED_DIRECTORY, SHARED_PROJECT, NAME_TAKEN, TWO_OWNERS = (check.id for check in CHECKS)

DIRECTORY = "_gitops"

Manifest = Mapping[str, Any]


class Request(NamedTuple):
    """A platform file that asks for wiring: `spec_file` as rendered files name it, `file` and `mark` for findings.

    `cluster` is the name that platform files give the cluster; "" where they give none.
    """

    directory: str
    gitops: Gitops
    spec_file: str
    file: str
    mark: Mark
    cluster: str = ""

    @property
    def application(self) -> str:
        """The name of Argo CD's Application that syncs the wiring."""
        return f"{self.gitops.argocd.project}-wiring" if self.gitops.argocd else ""

    @property
    def kustomization(self) -> str:
        """The name of Flux's GitRepository and of the Kustomization that syncs the wiring."""
        return unit_name(joined("stormc", self.directory))

    @property
    def target(self) -> str:
        """What tells the cluster from others; empty where that is only "Argo CD's own", of which there are many."""
        server = self.gitops.argocd.server if self.gitops.argocd else ""
        return self.cluster or ("" if server == IN_CLUSTER else server)

    @property
    def entries(self) -> list[str]:
        """The names that no unit of an app may have."""
        names = ((self.gitops.argocd, self.application), (self.gitops.flux, self.kustomization))
        return [name for engine, name in names if engine]


class Wiring(NamedTuple):
    """A request and the apps below it that no nearer request claims.

    `branches` are all directories of the tree that hold other directories. `shared` are the places below the request
    that hold what apps share; each is synced like an app, before the apps.
    """

    request: Request
    apps: tuple[Summary, ...]
    branches: frozenset[str]
    shared: tuple[Place, ...] = ()

    @property
    def directory(self) -> str:
        """The directory of the platform file, below the rendered tree as below the specs."""
        return self.request.directory

    @property
    def root(self) -> str:
        """The directory of the wiring below the rendered tree."""
        return joined(self.directory, DIRECTORY)


def joined(*steps: str) -> str:
    """A path of the steps that are not empty."""
    return "/".join(step for step in steps if step)


def unit_name(path: str) -> str:
    """The name of the Application or Kustomization that syncs a rendered directory.

    Directory and name of the app, so that namesakes in other directories stay apart; other characters become '-', as
    the function `normalize` of ApplicationSet templates has it (argo-cd applicationset/utils/template_functions.go).
    """
    return re.sub(r"[^-a-z0-9.]", "-", path.replace("/", "-").lower()).strip("-.")


def shared_set(project: str) -> str:
    """The name of the ApplicationSet of what the apps of a project share; the other one has the project's name."""
    return f"{project}-shared"


def shared_unit(place: Place) -> str:
    """The name of the Application or Kustomization that syncs what the apps of a namespace share."""
    return unit_name(joined(place.scope, "shared", place.namespace))


def settle_wirings(requests: Sequence[Request], apps: Sequence[Summary]) -> list[Wiring]:
    """The wiring of each request, in order of directory: every app belongs to the nearest one above it."""
    claimed: dict[Request, list[Summary]] = {request: [] for request in sorted(requests, key=lambda r: r.directory)}
    places = {shared_place(requests, app) for app in apps if app.shared}
    rendered = [*(app.directory for app in apps), *(place.directory for place in places)]
    branches = frozenset(branch for directory in rendered for branch in _above(directory))
    for app in sorted(apps, key=lambda app: app.directory):
        owner = nearest(requests, app.directory)
        if owner is not None:
            claimed[owner].append(app)
    with_apps = []
    for request, owned in claimed.items():
        shared = tuple(sorted(place for place in places if place.scope == request.directory))
        if owned or shared:
            with_apps.append(Wiring(request, tuple(owned), branches, shared))
    return with_apps


def shared_place(requests: Sequence[Request], app: Summary) -> Place:
    """Where an app finds what it shares: in the scope of its wiring, or of the first one for the same cluster.

    Two wirings of one cluster would write the same objects into a namespace that they share, so one of them has them
    all. Argo CD's own cluster, which is the default, is another one for each Argo CD.
    """
    request = nearest(requests, app.directory)
    if request is None:
        return Place("", app.namespace)
    same = [r for r in requests if r.target == request.target] if request.target else [request]
    return Place(min(r.directory for r in same), app.namespace)


def nearest(requests: Sequence[Request], directory: str) -> Request | None:
    """The request whose wiring an app directory belongs to."""
    by_directory = {request.directory: request for request in requests}
    return next((by_directory[above] for above in _above(directory) if above in by_directory), None)


def _above(directory: str) -> Iterator[str]:
    """The directories above one, the nearest first, down to the empty path of the tree itself."""
    while directory:
        directory = directory.rpartition("/")[0]
        yield directory


def check_wirings(wirings: Sequence[Wiring], summaries: Iterable[Summary]) -> Iterator[Finding]:
    """Names that two objects would share, that are too long, or that stormc keeps for itself."""
    for summary in summaries:
        if DIRECTORY in summary.directory.split("/"):
            message = phrase(
                "renders into {directory}/, but {reserved} is where the wiring of engines goes",
                directory=summary.directory,
                reserved=DIRECTORY,
            )
            yield Finding(RESERVED_DIRECTORY, summary.file, summary.mark, message, phrase("choose another directory"))
    yield from _check_projects([wiring.request for wiring in wirings])
    yield from _check_units(wirings)
    yield from _check_owners(wirings)


def _check_projects(requests: Sequence[Request]) -> Iterator[Finding]:
    owners: dict[tuple[str, str], Request] = {}
    for request in requests:
        argocd = request.gitops.argocd
        if argocd is None:
            continue
        names = [(argocd.namespace, name) for name in (argocd.project, shared_set(argocd.project))]
        first = next((owners[name] for name in names if name in owners), request)
        owners |= {name: request for name in names if name not in owners}
        if first is not request:
            path: Path = ("gitops", "argocd", "project")
            message = phrase(
                "project {project} of Argo CD is also that of {file}", project=argocd.project, file=first.file
            )
            hint = phrase("an AppProject has one owner: name another")
            yield Finding(SHARED_PROJECT, request.file, request.mark, message, hint, path)


def _check_owners(wirings: Sequence[Wiring]) -> Iterator[Finding]:
    owners: dict[str, Request] = {}
    for wiring in wirings:
        request = wiring.request
        if request.target:
            continue
        for place in wiring.shared:
            first = owners.setdefault(place.namespace, request)
            if first is not request:
                message = phrase(
                    "what apps share in namespace {namespace} is wired by {file} too, perhaps on one cluster",
                    namespace=place.namespace,
                    file=first.file,
                )
                hint = phrase("name the cluster in both (cluster: NAME), or declare the wiring once above both")
                yield Finding(TWO_OWNERS, request.file, request.mark, message, hint, ("gitops",))


def _check_units(wirings: Sequence[Wiring]) -> Iterator[Finding]:
    names = {app: unit_name(app.directory) for wiring in wirings for app in wiring.apps}
    shared = {(wiring.request, place): shared_unit(place) for wiring in wirings for place in wiring.shared}
    taken = Counter([*names.values(), *shared.values()])
    taken.update(name for wiring in wirings for name in wiring.request.entries)
    for app, name in names.items():
        if taken[name] > 1:
            message = phrase(
                "the engines know another unit of the name {name}, which this app's directory becomes", name=name
            )
            yield Finding(NAME_TAKEN, app.file, app.mark, message, phrase("rename the app or one of its directories"))
    of_apps = phrase("shorten the name of the app or of its directories")
    of_shared = phrase("shorten the names of its directories")
    units = [
        *((name, app.file, app.mark, of_apps) for app, name in names.items()),
        *((name, request.file, request.mark, of_shared) for (request, _), name in shared.items()),
    ]
    for name, file, mark, hint in units:
        if len(name) > LABEL_BYTES:
            message = phrase(
                "unit {name} of the engines has {length} characters, the limit is {label_bytes}",
                name=name,
                length=len(name),
                label_bytes=LABEL_BYTES,
            )
            yield Finding(NAME_TAKEN, file, mark, message, hint)
