"""Services that leave the rendered tree: what an engine would delete, and what keeps it from doing so."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from shlex import quote

from stormc.facts.keys import Annotation, Label
from stormc.gitops.wiring import Request, nearest, unit_name
from stormc.phrase import Phrase, indented, phrase, verbatim
from stormc.record import NamedTuple
from stormc.tree.layout import KUSTOMIZATION, Identity, identity

CONFIRMS = b"Prune=confirm"
NEVER = f"{Annotation.FLUX_PRUNE}: disabled".encode()


class Departure(NamedTuple):
    """A StormService that a directory no longer holds, with everything else that leaves the directory.

    `successor` is the service that its spec renders to now, if any. `whole_directory` says that nothing of the
    directory stays. `guards` are the annotations that keep an engine from deleting it (CONFIRMS, NEVER).
    """

    service: Identity
    others: tuple[Identity, ...]
    directory: str
    whole_directory: bool
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
    old = {path: who for path, text in before.items() if (who := identity(text))}
    new = {path: who for path, text in after.items() if (who := identity(text))}
    staying = {(cluster(_directory(path)), who.object) for path, who in new.items()}
    successors = {who.spec_file: who for who in new.values() if who.kind == "StormService"}
    leaving = {path: who for path, who in sorted(old.items()) if (cluster(_directory(path)), who.object) not in staying}
    return [
        Departure(
            who,
            tuple(other for at, other in leaving.items() if at != path and _directory(at) == _directory(path)),
            _directory(path),
            f"{_directory(path)}/{KUSTOMIZATION}" in before.keys() - after.keys(),
            successors.get(who.spec_file),
            frozenset(guard for guard in (CONFIRMS, NEVER) if guard in before[path]),
        )
        for path, who in leaving.items()
        if who.kind == "StormService"
    ]


def _directory(path: str) -> str:
    return path.rpartition("/")[0]


def warnings(leaving: Sequence[Departure], requests: Sequence[Request]) -> Iterator[Phrase]:
    """What people should read before they merge: a headline per service, then a line per engine."""
    for departure in leaving:
        service, others = departure.service, len(departure.others)
        source = verbatim(service.spec_file)
        if departure.successor:
            source = phrase("{spec}, now {label}", spec=service.spec_file, label=departure.successor.label)
        yield phrase("prune {label}: StormService and {others} more objects ({source})", label=service.label,
                     others=others, source=source)  # fmt: skip
        request = nearest(requests, departure.directory)
        engines = list(_engines(departure, request)) if request else []
        yield from (indented(engine.text, 4) for engine in engines or [_UNGUARDED])
        if any(engine.keeps for engine in engines):
            yield indented(phrase("delete what is kept: {command}", command=_command(departure)), 4)


def moves(before: Mapping[str, bytes], after: Mapping[str, bytes], requests: Sequence[Request]) -> Iterator[Phrase]:
    """What becomes of a service whose rendered directory moves: another Application or Kustomization syncs it."""
    old, new = ({_directory(path) for path, text in files.items() if _is_service(text)} for files in (before, after))
    for left, right in zip(sorted(old), sorted(new), strict=False):
        if left == right:
            continue
        request = nearest(requests, right)
        argocd, flux = request.gitops if request else (None, None)
        for kind in filter(None, (argocd and "Application", flux and "Kustomization")):
            yield phrase("{kind} {old} goes and keeps the objects, {new} takes them over", kind=kind,
                         old=unit_name(left), new=unit_name(right))  # fmt: skip


def _is_service(text: bytes) -> bool:
    who = identity(text)
    return who is not None and who.kind == "StormService"


class _Engine(NamedTuple):
    """What an engine does, and whether it keeps anything that people then have to delete."""

    keeps: bool
    text: Phrase


_UNGUARDED = _Engine(
    False,
    phrase("no guard: no platform.gitops here; an engine that prunes deletes them and the NPU pods with their models"),
)


def _engines(departure: Departure, request: Request) -> Iterator[_Engine]:
    name = unit_name(departure.directory)
    argocd, flux = request.gitops
    if argocd and departure.whole_directory:
        text = phrase(
            "Argo CD removes Application {name} and keeps its objects: preserveResourcesOnDeletion", name=name
        )
        yield _Engine(True, text)
    elif argocd and CONFIRMS in departure.guards:
        yield _Engine(
            False,
            phrase(
                "Argo CD holds every sync of Application {name}, new objects included, until somebody confirms it: "
                "Prune=confirm; then it deletes the StormService and the others",
                name=name,
            ),
        )
        yield _Engine(False, phrase("confirm: {command}", command=_confirmation(name, argocd.namespace)))
    elif argocd:
        guard = CONFIRMS.decode()
        yield _Engine(False, phrase("Argo CD deletes them at once: the StormService has no {guard} yet", guard=guard))
    if flux and departure.whole_directory:
        text = phrase("Flux removes Kustomization {name} and keeps its objects: deletionPolicy Orphan", name=name)
        yield _Engine(True, text)
    elif flux and NEVER in departure.guards:
        yield _Engine(True, phrase("Flux keeps the StormService: prune disabled; it deletes the others at once"))
    elif flux:
        guard = NEVER.decode()
        yield _Engine(False, phrase("Flux deletes them at once: the StormService has no {guard} yet", guard=guard))


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
