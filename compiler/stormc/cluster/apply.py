"""Brings an app's objects to the cluster, one after the other, and says what changed in each."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from stormc.cluster.connection import Cluster
from stormc.cluster.kinds import APPLIED, NAMESPACE, STORM_SERVICE, Kind, Manifest, kind_of, title
from stormc.cluster.owner import engine
from stormc.failure import Failure
from stormc.phrase import phrase
from stormc.record import NamedTuple
from stormc.tree.compare import differing, leaves, places

VOLATILE = ("managedFields", "resourceVersion", "generation", "creationTimestamp", "uid")


class Applied(NamedTuple):
    """What happened to one object: created, changed (with the fields) or unchanged."""

    object: str
    outcome: str
    fields: tuple[str, ...] = ()


def in_order(manifests: Iterable[Manifest]) -> list[tuple[Kind, Manifest]]:
    """Dependencies first: pods mount the ConfigMaps and resolve the Services as soon as the StormService is there."""
    return sorted(((kind_of(m), m) for m in manifests), key=lambda pair: APPLIED.index(pair[0]))


def apply(
    cluster: Cluster, namespace: str, manifests: Iterable[Manifest], *, dry_run: bool, force: bool
) -> Iterator[Applied]:
    """Applies in order of dependency. Raises Failure at the first object that the server refuses.

    Before anything is written, an object that Argo CD or Flux owns is a Failure unless `force`, and so is a
    StormService with another selector.
    """
    pairs = in_order(manifests)
    before = [cluster.get(kind, namespace, manifest["metadata"]["name"]) for kind, manifest in pairs]
    refuse_gitops([live for live in before if live], force=force)
    for (kind, manifest), live in zip(pairs, before, strict=True):
        if kind == STORM_SERVICE and live and not force:
            _refuse_selector(manifest, live)
    for (kind, manifest), live in zip(pairs, before, strict=True):
        after = cluster.apply(kind, namespace, manifest, dry_run=dry_run, force=force)
        if live is None:
            yield Applied(title(manifest), "created")
        else:
            fields = tuple(differences(manifest["kind"], _settled(live), _settled(after)))
            yield Applied(title(manifest), "changed" if fields else "unchanged", fields)


def _refuse_selector(manifest: Manifest, live: Manifest) -> None:
    """AIBrix counts RoleSets by the selector: under another one those that run are never looked at again."""
    ours, theirs = (item["spec"].get("selector") for item in (manifest, live))
    if ours != theirs:
        name, namespace = live["metadata"]["name"], live["metadata"]["namespace"]
        raise Failure(
            phrase(
                "{title} was made by another tool and has another selector: its pods would be left running beside "
                "the new ones; delete it first: stormc compat delete -n {name} -ns {namespace}",
                title=title(live),
                name=name,
                namespace=namespace,
            )
        )


def refuse_gitops(live: Iterable[Manifest], *, force: bool) -> None:
    """Raises Failure when an object belongs to a GitOps engine, which would undo what is done here."""
    for item in live:
        name = engine(item)
        if name and not force:
            raise Failure(
                phrase(
                    "{title} belongs to {name}, which would undo this; change git, or use --force",
                    title=title(item),
                    name=name,
                )
            )


def ensure_namespace(cluster: Cluster, namespace: str, *, dry_run: bool) -> bool:
    """Creates a namespace that is not there; whether it was missing. Raises Failure."""
    if cluster.get(NAMESPACE, None, namespace) is not None:
        return False
    manifest = {"apiVersion": NAMESPACE.version, "kind": NAMESPACE.name, "metadata": {"name": namespace}}
    cluster.create(NAMESPACE, manifest, dry_run=dry_run)
    return True


def differences(kind: str, old: Manifest, new: Manifest) -> list[str]:
    """The places at which two states of an object differ."""
    before, after = dict(leaves(kind, old)), dict(leaves(kind, new))
    return places(differing(before, after), before, after)


def _settled(live: Manifest) -> dict[str, Any]:
    metadata = {key: value for key, value in live["metadata"].items() if key not in VOLATILE}
    return {**{key: value for key, value in live.items() if key != "status"}, "metadata": metadata}
