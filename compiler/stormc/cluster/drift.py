"""Where the cluster differs from what was rendered."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from stormc.cluster.apply import in_order
from stormc.cluster.connection import Cluster
from stormc.cluster.kinds import Manifest, title
from stormc.tree.compare import beginnings, leaves, places


def drift(cluster: Cluster, namespace: str, manifests: Iterable[Manifest]) -> Iterator[str]:
    """A line for each rendered field that differs on the cluster; fields that only the cluster has are defaults.

    Raises Failure.
    """
    for kind, manifest in in_order(manifests):
        live = cluster.get(kind, namespace, manifest["metadata"]["name"])
        if live is None:
            yield f"{title(manifest)} is missing"
        else:
            yield from (f"{title(manifest)} {path}" for path in differing_places(manifest["kind"], manifest, live))


def differing_places(kind: str, rendered: Manifest, live: Manifest) -> list[str]:
    """The places at which `live` lacks a rendered value or has another."""
    ours, theirs = dict(leaves(kind, rendered)), dict(leaves(kind, live))
    known = beginnings(theirs)
    lacking = [path for path, value in ours.items() if not (path in known and _holds(theirs.get(path, {}), value))]
    return places(lacking, ours, theirs)


def _holds(live: Any, rendered: Any) -> bool:
    """Whether a value is as it was rendered; keys beside it are defaults."""
    if isinstance(rendered, Mapping) and isinstance(live, Mapping):
        return all(key in live and _holds(live[key], value) for key, value in rendered.items())
    if isinstance(rendered, list) and isinstance(live, list):
        return len(live) == len(rendered) and all(map(_holds, live, rendered))
    return bool(live == rendered)
