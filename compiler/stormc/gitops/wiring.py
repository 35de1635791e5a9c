"""The wiring of a directory of apps: which engine objects it takes, where their files lie, and what they are called.

`_gitops/` lies beside the apps whose platform file asks for it. For each engine it holds one directory that people
apply once, and below it one that the engine then keeps up to date by itself.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from stormc.facts.limits import LABEL_BYTES
from stormc.finding import Check, Finding, Mark, Path
from stormc.model.profile import Gitops
from stormc.model.summary import Summary

CHECKS = (
    Check(
        "E304",
        "No app renders into the directory of the wiring.",
        "`_gitops` holds what Argo CD and Flux read; an app there would be taken for wiring.",
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
)
IN_THE_WIRING, SHARED_PROJECT, NAME_TAKEN = (check.id for check in CHECKS)

DIRECTORY = "_gitops"

Manifest = Mapping[str, Any]


class Request(NamedTuple):
    """A platform file that asks for wiring: `spec_file` as rendered files name it, `file` and `mark` for findings."""

    directory: str
    gitops: Gitops
    spec_file: str
    file: str
    mark: Mark

    @property
    def application(self) -> str:
        """The name of Argo CD's Application that syncs the wiring."""
        return f"{self.gitops.argocd.project}-wiring" if self.gitops.argocd else ""

    @property
    def kustomization(self) -> str:
        """The name of Flux's GitRepository and of the Kustomization that syncs the wiring."""
        return unit_name(joined("stormc", self.directory))

    @property
    def entries(self) -> list[str]:
        """The names that no unit of an app may have."""
        names = ((self.gitops.argocd, self.application), (self.gitops.flux, self.kustomization))
        return [name for engine, name in names if engine]


class Wiring(NamedTuple):
    """A request, the apps below it that no nearer request claims, and all directories of the tree that hold others."""

    request: Request
    apps: tuple[Summary, ...]
    branches: frozenset[str]

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


def wirings(requests: Sequence[Request], apps: Sequence[Summary]) -> list[Wiring]:
    """The wiring of each request, in order of directory: every app belongs to the nearest one above it."""
    claimed: dict[Request, list[Summary]] = {request: [] for request in sorted(requests, key=lambda r: r.directory)}
    branches = frozenset(branch for app in apps for branch in _above(app.directory))
    for app in sorted(apps, key=lambda app: app.directory):
        owner = nearest(requests, app.directory)
        if owner is not None:
            claimed[owner].append(app)
    return [Wiring(request, tuple(owned), branches) for request, owned in claimed.items() if owned]


def nearest(requests: Sequence[Request], directory: str) -> Request | None:
    """The request whose wiring an app directory belongs to."""
    by_directory = {request.directory: request for request in requests}
    return next((by_directory[above] for above in _above(directory) if above in by_directory), None)


def _above(directory: str) -> Iterator[str]:
    """The directories above one, the nearest first, down to the empty path of the tree itself."""
    while directory:
        directory = directory.rpartition("/")[0]
        yield directory


def check_wirings(made: Sequence[Wiring], summaries: Iterable[Summary]) -> Iterator[Finding]:
    """Names that two objects would share, that are too long, or that stormc keeps for itself."""
    for summary in summaries:
        if DIRECTORY in summary.directory.split("/"):
            message = f"renders into {summary.directory}/, but {DIRECTORY} is where the wiring of engines goes"
            yield Finding(IN_THE_WIRING, summary.file, summary.mark, message, "choose another directory")
    yield from _check_projects([wiring.request for wiring in made])
    yield from _check_units(made)


def _check_projects(requests: Sequence[Request]) -> Iterator[Finding]:
    owners: dict[tuple[str, str], Request] = {}
    for request in requests:
        argocd = request.gitops.argocd
        first = owners.setdefault((argocd.namespace, argocd.project), request) if argocd else request
        if argocd and first is not request:
            path: Path = ("gitops", "argocd", "project")
            message = f"project {argocd.project} of Argo CD is also that of {first.file}"
            hint = "an AppProject has one owner: name another"
            yield Finding(SHARED_PROJECT, request.file, request.mark, message, hint, path)


def _check_units(made: Sequence[Wiring]) -> Iterator[Finding]:
    names = {app: unit_name(app.directory) for wiring in made for app in wiring.apps}
    taken = Counter(names.values())
    taken.update(name for wiring in made for name in wiring.request.entries)
    for app, name in names.items():
        if taken[name] > 1:
            message = f"the engines know another unit of the name {name}, which this app's directory becomes"
            yield Finding(NAME_TAKEN, app.file, app.mark, message, "rename the app or one of its directories")
        if len(name) > LABEL_BYTES:
            message = f"unit {name} of the engines has {len(name)} characters, the limit is {LABEL_BYTES}"
            yield Finding(NAME_TAKEN, app.file, app.mark, message, "shorten the name of the app or of its directories")
