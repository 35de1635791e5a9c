"""What the apps of a namespace share on disk: `<scope>/_shared/<namespace>/`, a directory that is applied like an app.

The scope is the directory whose platform file declares the GitOps wiring, else the root of the rendered tree.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from stormc.failure import Failure
from stormc.payload.objects import OURS, shared_objects
from stormc.payload.read import Payload
from stormc.phrase import phrase
from stormc.record import NamedTuple
from stormc.tree.layout import file_name, file_start, layout
from stormc.tree.read import is_ours, listing

DIRECTORY = "_shared"


class Place(NamedTuple):
    """Where the apps of a namespace find what they share: `scope` is a directory below the rendered tree."""

    scope: str
    namespace: str

    @property
    def directory(self) -> str:
        """The directory below the rendered tree."""
        return "/".join(step for step in (self.scope, DIRECTORY, self.namespace) if step)


Needs = Mapping[Place, frozenset[str]]
"""The names of the ConfigMaps that the apps of a place mount."""


def shared_files(
    needs: Needs, payload: Payload, specs: str, earlier: Mapping[Place, Iterable[str]] | None = None
) -> Iterator[tuple[str, bytes]]:
    """The files of all places: path, content. `specs` is the name of the specs directory, for their first lines.

    `earlier` are the names of files that stay: other versions, which other apps may still mount. The programs are the
    last field of their ConfigMaps, and are laid out once for all places. Raises Failure for a damaged installation.
    """
    from stormc.emit.canonical import emit_yaml

    programs: dict[str, bytes] = {}
    for place, names in sorted(needs.items()):
        manifests = {file_name(manifest): manifest for manifest in shared_objects(payload, place.namespace, names)}
        for name, manifest in manifests.items():
            program = {"data": manifest.pop("data")}
            if name not in programs:
                programs[name] = emit_yaml(program).encode()
        named = f"{specs}/{place.scope}".rstrip("/")
        staying = set((earlier or {}).get(place, ())) - manifests.keys()
        for name, text in layout(tuple(manifests.values()), named, staying).items():
            yield f"{place.directory}/{name}", text.encode() + programs.get(name, b"")


def present(out: Path, place: Place) -> list[str]:
    """The names of the ConfigMaps' files that stormc has written to a place earlier."""
    names = (path.rpartition("/")[2] for path in listing(out, place.directory) if is_ours(out, path))
    return sorted(name for name in names if name.startswith(file_start("ConfigMap")))


def mounted(manifests: Iterable[Mapping[str, Any]]) -> list[tuple[str, str]]:
    """Namespace and name of every ConfigMap that the pods of an app mount and that is not among its own manifests."""
    manifests = list(manifests)
    own = {manifest["metadata"]["name"] for manifest in manifests if manifest["kind"] == "ConfigMap"}
    config_maps: dict[tuple[str, str], None] = {}
    for manifest in manifests:
        if manifest["kind"] == "StormService":
            for role in manifest["spec"]["template"]["spec"]["roles"]:
                for volume in role["template"]["spec"].get("volumes") or ():
                    name = (volume.get("configMap") or {}).get("name")
                    if name and name not in own:
                        config_maps[manifest["metadata"]["namespace"], name] = None
    return list(config_maps)


def shared_paths(app: Path, manifests: Iterable[Mapping[str, Any]]) -> Iterator[Path]:
    """The files of the ConfigMaps that a rendered app shares with others: in the nearest directory above that has them.

    Where several wirings share a cluster, the first of them has the files, perhaps in a sibling directory. Raises
    Failure where a ConfigMap of stormc has no file.
    """
    for namespace, name in mounted(manifests):
        path = _nearest_file(app.resolve(), f"{DIRECTORY}/{namespace}/{file_start('ConfigMap')}{name}.yaml")
        if path is not None:
            yield path
        elif name.startswith(OURS):
            raise Failure(
                phrase(
                    "{app} mounts ConfigMap {name}, which no {directory} directory above it has; run: stormc render",
                    app=app,
                    name=name,
                    directory=DIRECTORY,
                )
            )


def _nearest_file(app: Path, file: str) -> Path | None:
    for above in app.parents:
        candidates = [above / file, *sorted(above.glob(f"*/{file}"))]
        path = next((candidate for candidate in candidates if candidate.is_file()), None)
        if path is not None or (above / ".git").exists():
            return path
    return None
