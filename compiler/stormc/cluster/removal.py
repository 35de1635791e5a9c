"""Takes an app off the cluster."""

from __future__ import annotations

from collections.abc import Iterable

from stormc.cluster.connection import Cluster
from stormc.cluster.kinds import Kind, Manifest, title
from stormc.cluster.wait import Tell


def remove(cluster: Cluster, namespace: str, objects: Iterable[tuple[Kind, Manifest]], tell: Tell) -> None:
    """Asks for the deletion of every object, the last one first: pods of the StormService need the others to the end.

    Raises Failure at the first that may not be deleted.
    """
    for kind, item in reversed(list(objects)):
        was_gone = not cluster.delete(kind, namespace, item["metadata"]["name"])
        tell(f"{title(item)}: {'was was_gone already' if was_gone else 'deletion asked for'}")
