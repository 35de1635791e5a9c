"""Finds what was rendered for an app."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from stormc.cluster.kinds import STORM_SERVICE, Manifest
from stormc.failure import Failure
from stormc.local.cluster import read_manifests


def read_app(rendered: Path, app: str) -> list[Manifest]:
    """The manifests of an app by its name, or by directory and name as in a3/my-test. Raises Failure."""
    found = [
        path.parent
        for path in sorted(rendered.rglob("stormservice-*.yaml"))
        if path.parent.relative_to(rendered).as_posix() == app or path.parent.name == app
    ]
    if not found:
        raise Failure(f"{rendered} has no app {app}; run: stormc render")
    if len(found) > 1:
        names = " and ".join(path.relative_to(rendered).as_posix() for path in found)
        raise Failure(f"{app} is ambiguous: {names}")
    return read_manifests(found[0])


def rendered_apps(rendered: Path) -> dict[tuple[str, str], list[Manifest]]:
    """Every rendered app by namespace and name; empty without such a directory. Raises Failure for a damaged one."""
    apps = [read_manifests(path.parent) for path in sorted(rendered.rglob("stormservice-*.yaml"))]
    places = [storm_service(manifests)["metadata"] for manifests in apps]
    return {(m["namespace"], m["name"]): app for m, app in zip(places, apps, strict=True)}


def storm_service(manifests: Iterable[Manifest]) -> Manifest:
    """The StormService among an app's manifests."""
    return next(manifest for manifest in manifests if manifest["kind"] == STORM_SERVICE.name)
