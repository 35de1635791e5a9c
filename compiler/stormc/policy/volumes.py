"""What the pods of an app mount and read: host paths, volumes of other kinds, ConfigMaps of others."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any

from stormc.facts.keys import DEVICE_FILES, Directory
from stormc.finding import Path, shown
from stormc.phrase import Phrase, phrase
from stormc.policy.breach import Breach
from stormc.policy.concerns import HOST_PATH, VOLUME
from stormc.policy.pods import Pod, volume_field
from stormc.policy.policy import below
from stormc.targets.programs import Volume

SYSTEM = ("/bin", "/boot", "/dev", "/etc", "/lib", "/lib64", "/proc", "/root", "/run", "/sbin", "/sys", "/usr", "/var")
"""Directories of a node that hold its own programs, sockets and credentials."""
_JUDGED = ("name", "hostPath", "secret")
"""Keys of a volume that other concerns judge."""
_OWN = ("emptyDir", "downwardAPI")
"""Kinds of volumes that hold nothing of others."""
_HINT = phrase("use a field of the spec, or ask for an exception")


def host_paths(pod: Pod) -> Iterator[Breach]:
    """Directories and files of the node."""
    app = pod.case.app
    for index, volume in enumerate(pod.spec.get("volumes") or ()):
        source = volume.get("hostPath")
        if not isinstance(source, dict):
            continue
        host, name = posixpath.normpath(str(source.get("path", ""))), volume.get("name", "")
        host = "/" + host.lstrip("/")
        read_only = all(mount.get("readOnly") for mount in pod.mounts(name))
        usual = host in DEVICE_FILES or (name == Volume.MODEL and host == (app.model.host_path or app.model.mount_path))
        script = app.engine.script is not None and host == app.engine.script.directory
        unusual = not (usual or script) or (not read_only and not script) or _is_system(host)
        if not unusual and not pod.case.policy.covers("hostPaths"):
            continue
        path = pod.at(("volumes", index), volume_field(pod, name))
        access = "" if read_only else phrase(" and may write there")
        message = phrase("pods of {role} mount {host} of the node{word}", role=pod.role, host=shown(host), word=access)
        yield from _host_path(pod, path, host, message, unusual, read_only or script)


def _host_path(pod: Pod, path: Path, host: str, message: Phrase, unusual: bool, harmless: bool) -> Iterator[Breach]:
    policy = pod.case.policy
    if not policy.covers("hostPaths"):
        yield from pod.case.breach(HOST_PATH, path, message, phrase("mount a PersistentVolumeClaim"), unusual=unusual)
        return
    for number, allowed in policy.values("hostPaths"):
        if not harmless or (host not in DEVICE_FILES and not any(below(each, host) for each in allowed)):
            file = policy.layers[number].file
            hint = phrase("{file} allows to read: {allowed}", file=file, allowed=", ".join(allowed))
            yield Breach(HOST_PATH.forbidden.id, path, message, hint, number)
            return
    if unusual and not policy.settles("hostPaths") and HOST_PATH.warned:
        yield Breach(HOST_PATH.warned.id, path, message, phrase("mount a PersistentVolumeClaim"))


@lru_cache(1024)
def _is_system(host: str) -> bool:
    return host == "/" or (
        host not in DEVICE_FILES and host != Directory.SHM and any(below(each, host) for each in SYSTEM)
    )


def other_volumes(pod: Pod) -> Iterator[Breach]:
    """Volumes of kinds that reach what others hold, and ConfigMaps of others, where an override asks for them."""
    for index, volume in enumerate(pod.spec.get("volumes") or ()):
        path = pod.patched(("volumes", index))
        for kind, source in volume.items():
            if path and kind not in _JUDGED and kind not in _OWN and source is not None:
                yield from _volume(pod, path, kind, source)
    for at, container in pod.containers:
        for field in ("env", "envFrom"):
            for index, entry in enumerate(container.get(field) or ()):
                source = entry.get("configMapRef") or (entry.get("valueFrom") or {}).get("configMapKeyRef") or {}
                path = pod.overridden((*at, field, index)) if field == "env" else pod.patched((*at, field))
                if source and path:
                    yield from _config_map(pod, path, str(source.get("name")))


def _volume(pod: Pod, path: Path, kind: str, source: Any) -> Iterator[Breach]:
    if kind == "configMap":
        yield from _config_map(pod, path, str(source.get("name")))
    elif kind == "projected":
        for each in source.get("sources") or ():
            for inner, of in each.items():
                if inner == "configMap":
                    yield from _config_map(pod, path, str(of.get("name")))
                elif inner not in ("secret", "downwardAPI", "serviceAccountToken"):
                    yield from _breach(
                        pod, path, phrase("pods of {role} mount {kind}", role=pod.role, kind=inner), inner
                    )
    else:
        yield from _breach(
            pod, path, phrase("pods of {role} mount a volume of kind {kind}", role=pod.role, kind=kind), kind
        )


def _config_map(pod: Pod, path: Path, name: str) -> Iterator[Breach]:
    """A ConfigMap that is not the app's."""
    manifests: list[Mapping[str, Any]] = [m for m in pod.case.manifests if m["kind"] == "ConfigMap"]
    if all(manifest["metadata"]["name"] != name for manifest in manifests):
        message = phrase("pods of {role} read ConfigMap {name}, which is not the app's", role=pod.role, name=name)
        yield from _breach(pod, path, message, "configMap")


def _breach(pod: Pod, path: Path, message: Phrase, kind: str) -> Iterator[Breach]:
    yield from pod.case.breach(VOLUME, path, message, _HINT, key="volumes", value=kind)
