"""Where the cluster differs from what was rendered."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from stormc.cluster.apply import in_order
from stormc.cluster.connection import Cluster
from stormc.cluster.kinds import Manifest, title


def drift(cluster: Cluster, namespace: str, manifests: Iterable[Manifest]) -> Iterator[str]:
    """Every rendered field that the cluster has otherwise; fields that only the cluster has are defaults. Raises
    Failure."""
    for kind, manifest in in_order(manifests):
        live = cluster.get(kind, namespace, manifest["metadata"]["name"])
        if live is None:
            yield f"{title(manifest)} is missing"
        else:
            yield from (f"{title(manifest)} {path}" for path in departures(manifest, live))


def departures(rendered: Any, live: Any, path: str = "") -> Iterator[str]:
    """The paths of what `live` lacks or has otherwise."""
    if isinstance(rendered, Mapping) and isinstance(live, Mapping):
        for key, value in rendered.items():
            yield from departures(value, live.get(key), f"{path}.{key}" if path else str(key))
    elif isinstance(rendered, list) and isinstance(live, list) and len(rendered) == len(live):
        for index, (a, b) in enumerate(zip(rendered, live, strict=True)):
            yield from departures(a, b, f"{path}[{index}]")
    elif rendered != live:
        yield path
