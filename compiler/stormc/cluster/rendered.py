"""Finds the rendered manifests of an app by its name."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from stormc.cluster.kinds import STORM_SERVICE, Manifest
from stormc.failure import Failure
from stormc.phrase import phrase
from stormc.targets.storm_service import storm_service
from stormc.tree.layout import file_start
from stormc.tree.rendered_app import read_manifests

RenderedApps = dict[tuple[str, str], dict[str, list[Manifest]]]
"""The manifests of apps by namespace and name, and then by the directory that they are rendered to."""


def read_app(rendered: Path, app: str) -> list[Manifest]:
    """The manifests of an app by its name, or by directory and name as in a3/my-test. Raises Failure."""
    directories = [
        path for path in _app_directories(rendered) if app in (path.relative_to(rendered).as_posix(), path.name)
    ]
    if not directories:
        raise Failure(phrase("{rendered} has no app {app}; run: stormc render", rendered=rendered, app=app))
    if len(directories) > 1:
        names = " and ".join(path.relative_to(rendered).as_posix() for path in directories)
        raise Failure(phrase("{app} is ambiguous: {names}", app=app, names=names))
    return read_manifests(directories[0])


def rendered_apps(rendered: Path) -> RenderedApps:
    """Every rendered app by namespace and name, and then by its directory: several clusters may have one of a name.

    Empty without such a directory. Raises Failure for a damaged one.
    """
    apps: RenderedApps = {}
    for path in _app_directories(rendered):
        manifests, directory = read_manifests(path), path.relative_to(rendered).as_posix()
        metadata = storm_service(manifests)["metadata"]
        apps.setdefault((metadata["namespace"], metadata["name"]), {})[directory] = manifests
    return apps


def choose_app(rendered: Path, apps: RenderedApps, app: str, namespace: str | None) -> tuple[str, str, list[Manifest]]:
    """Namespace, name and manifests of the app that a name means, or directory and name as in a3/my-test.

    An app that is not rendered has no manifests, and the namespace `default`. Raises Failure where a name means several
    and for a directory without an app.
    """
    if "/" in app:
        matches = [(*names, by_directory[app]) for names, by_directory in apps.items() if app in by_directory]
        if not matches:
            raise Failure(phrase("{rendered} has no app {app}; run: stormc render", rendered=rendered, app=app))
        return matches[0]
    known = [space for space, name in apps if name == app]
    space = namespace or (known[0] if len(known) == 1 else "default")
    return space, app, only_app(rendered, apps.get((space, app), {}))


def only_app(rendered: Path, apps: Mapping[str, list[Manifest]]) -> list[Manifest]:
    """The manifests of the one app among those of a name, none where there is none. Raises Failure for several."""
    if len(apps) > 1:
        parents = " or ".join(f"--rendered {rendered / directory.rpartition('/')[0]}" for directory in apps)
        raise Failure(
            phrase(
                "{apps} are the same app of several clusters; say which: {parents}",
                apps=" and ".join(apps),
                parents=parents,
            )
        )
    return next(iter(apps.values()), [])


def _app_directories(rendered: Path) -> list[Path]:
    """The directories of rendered apps, in order of path."""
    return [path.parent for path in sorted(rendered.rglob(f"{file_start(STORM_SERVICE.name)}*.yaml"))]
