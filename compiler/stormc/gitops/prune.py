"""Services that leave the rendered tree: what an engine would delete, and what keeps it from doing so."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from shlex import quote

from stormc.facts.keys import Annotation, Label
from stormc.gitops.wiring import Request, nearest, unit_name
from stormc.record import NamedTuple
from stormc.tree.layout import Identity, identity

CONFIRMS = b"Prune=confirm"
NEVER = f"{Annotation.FLUX_PRUNE}: disabled".encode()


class Departure(NamedTuple):
    """A StormService that a directory no longer holds, with everything else that leaves the directory.

    `successor` is the service that its spec renders to now, if any; `gone` says that the whole directory goes.
    """

    service: Identity
    others: tuple[Identity, ...]
    directory: str
    gone: bool
    successor: Identity | None
    guards: frozenset[bytes]


def departures(
    before: Mapping[str, bytes], after: Mapping[str, bytes], cluster: Callable[[str], str] = lambda directory: ""
) -> list[Departure]:
    """The services among the changed files of a tree that are there before and not after.

    `before` holds the old content of every file that is replaced or removed, `after` the new content of every file that
    is written. `cluster` says on which cluster the apps of a rendered directory run. A service that only moves to
    another directory of its cluster does not leave the tree.
    """
    old = {path: found for path, text in before.items() if (found := identity(text))}
    new = {path: found for path, text in after.items() if (found := identity(text))}
    staying = {(cluster(_directory(path)), found.object) for path, found in new.items()}
    successors = {found.spec_file: found for found in new.values() if found.kind == "StormService"}
    leaving = {
        path: found for path, found in sorted(old.items()) if (cluster(_directory(path)), found.object) not in staying
    }
    return [
        Departure(
            found,
            tuple(other for at, other in leaving.items() if at != path and _directory(at) == _directory(path)),
            _directory(path),
            f"{_directory(path)}/kustomization.yaml" in before.keys() - after.keys(),
            successors.get(found.spec_file),
            frozenset(guard for guard in (CONFIRMS, NEVER) if guard in before[path]),
        )
        for path, found in leaving.items()
        if found.kind == "StormService"
    ]


def _directory(path: str) -> str:
    return path.rpartition("/")[0]


def warnings(left: Sequence[Departure], requests: Sequence[Request]) -> Iterator[str]:
    """What people should read before they merge: a headline per service, then a line per engine."""
    for departure in left:
        service, others = departure.service, len(departure.others)
        then = f", now {departure.successor.label}" if departure.successor else ""
        yield f"prune {service.label}: StormService and {others} more objects ({service.spec_file}{then})"
        request = nearest(requests, departure.directory)
        engines = list(_engines(departure, request)) if request else []
        yield from (f"    {engine.text}" for engine in engines or [_UNGUARDED])
        if any(engine.keeps for engine in engines):
            yield f"    delete what is kept: {_command(departure)}"


def moves(before: Mapping[str, bytes], after: Mapping[str, bytes], requests: Sequence[Request]) -> Iterator[str]:
    """What becomes of a service whose rendered directory moves: another Application or Kustomization syncs it."""
    old, new = ({_directory(path) for path, text in files.items() if _is_service(text)} for files in (before, after))
    for left, right in zip(sorted(old), sorted(new), strict=False):
        request = nearest(requests, right)
        argocd, flux = request.gitops if request else (None, None)
        for kind in filter(None, (argocd and "Application", flux and "Kustomization")):
            yield f"{kind} {unit_name(left)} goes and keeps the objects, {unit_name(right)} takes them over"


def _is_service(text: bytes) -> bool:
    found = identity(text)
    return found is not None and found.kind == "StormService"


class _Engine(NamedTuple):
    """What an engine does, and whether it keeps anything that people then have to delete."""

    keeps: bool
    text: str


_UNGUARDED = _Engine(
    False, "no guard: no platform.gitops here; an engine that prunes deletes them and the NPU pods with their models"
)


def _engines(departure: Departure, request: Request) -> Iterator[_Engine]:
    name = unit_name(departure.directory)
    argocd, flux = request.gitops
    if argocd and departure.gone:
        yield _Engine(True, f"Argo CD removes Application {name} and keeps its objects: preserveResourcesOnDeletion")
    elif argocd and CONFIRMS in departure.guards:
        yield _Engine(
            False,
            f"Argo CD holds every sync of Application {name}, new objects included, until somebody confirms it: "
            "Prune=confirm; then it deletes the StormService and the others",
        )
        yield _Engine(False, f"confirm: {_confirmation(name, argocd.namespace)}")
    elif argocd:
        yield _Engine(False, f"Argo CD deletes them at once: the StormService has no {CONFIRMS.decode()} yet")
    if flux and departure.gone:
        yield _Engine(True, f"Flux removes Kustomization {name} and keeps its objects: deletionPolicy Orphan")
    elif flux and NEVER in departure.guards:
        yield _Engine(True, "Flux keeps the StormService: prune disabled; it deletes the others at once")
    elif flux:
        yield _Engine(False, f"Flux deletes them at once: the StormService has no {NEVER.decode()} yet")


def _confirmation(application: str, namespace: str) -> str:
    """The command that lets a sync go on that has begun; an approval from before it does not count."""
    approved = f'{Annotation.ARGOCD_DELETION_APPROVED}="$(date -u +%Y-%m-%dT%H:%M:%SZ)"'
    words = ["kubectl", "annotate", "--overwrite", "application", "-n", namespace, application]
    return f"{' '.join(map(quote, words))} {approved}"


def _command(departure: Departure) -> str:
    kinds = sorted({departure.service.kind, *(other.kind for other in departure.others)})
    labels = f"{Label.MANAGED_BY}=stormc,{Label.PART_OF}={departure.service.name}"
    words = ["kubectl", "delete", ",".join(kinds).lower(), "-n", departure.service.namespace, "-l", labels]
    return " ".join(map(quote, words))  # people paste it, and the names are those in a file of the branch
