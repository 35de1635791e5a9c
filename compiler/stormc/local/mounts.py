"""The files that a container sees, in a directory of this machine instead of an image."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Sequence
from pathlib import Path

from stormc.local.pods import Pod, template_hash
from stormc.tree.rendered_app import Manifest


def mount(pod: Pod, root: Path, config_maps: Sequence[Manifest]) -> None:
    """ConfigMaps as files behind a link that is swapped as a whole, as the kubelet does it; other directories."""
    volumes = {volume["name"]: volume for volume in pod.spec.get("volumes", ())}
    for mounted in pod.container.get("volumeMounts", ()):
        volume, target = volumes[mounted["name"]], root / mounted["mountPath"].lstrip("/")
        if "configMap" in volume:
            _project(volume["configMap"], target, config_maps)
        elif "emptyDir" in volume:
            target.mkdir(parents=True, exist_ok=True)
        elif os.path.isdir(host := volume.get("hostPath", {}).get("path", "")) and not target.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            target.symlink_to(host)


def _project(volume: Manifest, target: Path, config_maps: Sequence[Manifest]) -> None:
    config_map = next((m for m in config_maps if m["metadata"]["name"] == volume["name"]), None)
    if config_map is None:
        return  # the pod that still mounts it keeps what it has
    data = config_map.get("data", {})
    if "items" in volume:
        data = {item["path"]: data[item["key"]] for item in volume["items"]}
    version = f"..{template_hash(data)}"
    if (target / version).exists():
        return
    (target / version).mkdir(parents=True)
    for path, text in data.items():
        (target / version / path).parent.mkdir(parents=True, exist_ok=True)
        (target / version / path).write_text(text, encoding="utf-8")
    previous = os.readlink(target / "..data") if (target / "..data").is_symlink() else None
    (target / "..data_tmp").symlink_to(version)
    os.replace(target / "..data_tmp", target / "..data")
    for name in {path.partition("/")[0] for path in data}:
        if not (target / name).is_symlink():
            (target / name).symlink_to(f"..data/{name}")
    if previous is not None:
        shutil.rmtree(target / previous, ignore_errors=True)


def outside(pod: Pod, root: Path, address: str, word: str) -> str:
    """A word of the command line with the container's mounts and wildcard address as this machine has them."""
    for mounted in pod.container.get("volumeMounts", ()):
        path = re.escape(mounted["mountPath"])
        if (root / mounted["mountPath"].lstrip("/")).exists():
            word = re.sub(rf"(?<![\w/]){path}(?=/|$)", f"{root}{mounted['mountPath']}", word)
    word = re.sub(r"(?<=^--host=)::$", address, word)
    return re.sub(r"(?<![\d.])0\.0\.0\.0(?![\d.])", address, word)
