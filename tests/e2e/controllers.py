"""What controllers and the garbage collector do, played by the tests."""

from __future__ import annotations

from typing import Any

from stormc.cluster.connection import APPLY, Cluster
from stormc.cluster.kinds import Kind

NS = "default"


FOREGROUND = "foregroundDeletion"


def collect(cluster: Cluster, kind: Kind, name: str) -> None:
    """What the garbage collector does: the object goes once nothing depends on it."""
    cluster.delete(kind, NS, name)
    live = cluster.get(kind, NS, name)
    if live and FOREGROUND in live["metadata"].get("finalizers", ()):
        write(cluster, kind, name, {"metadata": {"finalizers": None}}, content="application/merge-patch+json")


def write(cluster: Cluster, kind: Kind, name: str, body: dict[str, Any], part: str = "", content: str = APPLY) -> None:
    """Writes as a controller does, a subresource too."""
    if content == APPLY:
        body = {"apiVersion": kind.version, "kind": kind.name, "metadata": {"name": name}, **body}
    query = {"fieldManager": "controller", "force": "true"} if content == APPLY else {}
    status, answer = cluster._request("PATCH", kind.path(NS, name) + part, query, body, content)
    assert status < 300 or status == 404, answer
