"""The volume that holds the weights of the model, mounted read-only into the engine containers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from stormc.model.app import App
from stormc.model.profile import Platform
from stormc.passes.because import Reason, fact, of
from stormc.passes.edit import Edit, storm
from stormc.targets.programs import Volume
from stormc.targets.storm_service import container_path, pod_path

CLAIM = ("model", "volume", "persistentVolumeClaim")
VOLUME: Reason = {
    (): fact("stormc", "docs/spec.md: volumes that stormc adds"),
    ("hostPath",): fact("stormc", "docs/spec.md model.volume", exists_if=(CLAIM,)),
    ("hostPath", "path"): of(("model", "volume", "hostPath"), exists_if=(CLAIM,)),
    ("persistentVolumeClaim",): of(CLAIM),
}
MOUNT = of(("model", "path"))


def apply(app: App, platform: Platform) -> Iterator[Edit]:
    """The model volume of both serving roles: a claim, or a directory that every node has."""
    service, model = storm(app), app.model
    source: dict[str, Any] = {"hostPath": {"path": model.host_path, "type": "Directory"}}
    if model.claim:
        source = {"persistentVolumeClaim": {"claimName": model.claim}}
    mount = {"name": Volume.MODEL, "mountPath": model.mount_path, "readOnly": True}
    for role in app.serving_roles:
        volumes = pod_path(role.name, "volumes", (Volume.MODEL,))
        yield Edit(service, volumes, {"name": Volume.MODEL, **source}, VOLUME)
        mounts = container_path(role.name, role.name, "volumeMounts", (model.mount_path,))
        yield Edit(service, mounts, mount, MOUNT)
