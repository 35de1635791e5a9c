"""The directories of model, start script and volumes are free in the container.

The directory above model.path and engine.script.hostPath are mounted, and so are volumes. On one of the image's own
they hide what the engine is made of, on one of stormc's mounts they take its place: the container never starts.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterator

from stormc.facts.keys import DEVICE_FILES, Directory
from stormc.finding import Path
from stormc.model.app import App
from stormc.model.profile import Platform
from stormc.model.role import Pods
from stormc.phrase import phrase
from stormc.rules.rule import Example, Rule, Violation
from stormc.targets.programs import (
    PROXY_CONFIG_DIRECTORY,
    PROXY_DIRECTORY,
    SCRATCH_DIRECTORY,
    VOLUME_NAMES,
    device_volume,
)

SYSTEM = (
    "/", "/bin", "/dev", "/etc", "/lib", "/lib64", "/proc", "/sbin", "/sys", "/usr", "/usr/bin", "/usr/lib",
    "/usr/local", "/usr/local/Ascend",
)  # fmt: skip
"""What an image of vllm-ascend cannot start without."""
OF_THE_PROXY = (SCRATCH_DIRECTORY, PROXY_CONFIG_DIRECTORY, PROXY_DIRECTORY)
"""Where volumes of the routing pods are mounted."""


def check(app: App, platform: Platform) -> Iterator[Violation]:
    taken = [*(path for path, _ in app.profile.device_mounts), Directory.SHM]
    taken += [Directory.LAUNCHER] if app.engine.needs_launcher else []
    model = _plain(app.model.mount_path)
    mounted: list[tuple[Path, str, list[str]]] = [(("model", "path"), model, [])]
    if app.engine.script:
        mounted.append((("engine", "script", "hostPath"), _plain(app.engine.script.directory), [model]))
    for path, place, same in mounted:
        below = next((other for other in taken if f"{other}/".startswith(f"{place}/")), None)
        if place in same:
            below = place
        if place in SYSTEM:
            yield Violation(
                path,
                phrase("a volume on {place} hides the container's own files", place=place),
                phrase("choose a directory below it"),
            )
        elif below:
            yield Violation(
                path,
                phrase("a volume on {place} meets the one on {below}", place=place, below=below),
                phrase("choose another directory"),
            )
        elif ":" in place:
            yield Violation(
                path,
                phrase("a volume cannot be mounted on {place}, which has a ':'", place=place),
                phrase("rename the directory"),
            )
    for role in app.serving_roles:
        yield from _of_volumes(app, role, [*taken, *(place for _, place, _ in mounted)])
    yield from _of_volumes(app, app.routing, list(OF_THE_PROXY))


def _of_volumes(app: App, role: Pods, taken: list[str]) -> Iterator[Violation]:
    """Volumes on a directory, or with a name, that is taken."""
    if not role.volumes:
        return
    places, names = set(taken), dict[str, object]()
    own_names = VOLUME_NAMES | set(map(device_volume, DEVICE_FILES))
    for volume in role.volumes:
        place = _plain(volume.mount_path)
        source = names.setdefault(volume.name, volume.source)
        if place in SYSTEM:
            text = phrase("a volume on {place} hides the container's own files", place=place)
            yield Violation(volume.path, text, phrase("choose a directory below it"))
        elif place in places:
            text = phrase("another volume is mounted on {place}", place=place)
            yield Violation(volume.path, text, phrase("remove it, or choose another directory"))
        elif ":" in place:
            text = phrase("a volume cannot be mounted on {place}, which has a ':'", place=place)
            yield Violation(volume.path, text, phrase("rename the directory"))
        elif volume.name in own_names or source != volume.source:
            text = phrase("another volume is called {name}", name=volume.name)
            yield Violation(volume.path, text, phrase("choose another name"))
        places.add(place)


def _plain(directory: str) -> str:
    return posixpath.normpath(f"/{directory.strip('/')}")


RULE = Rule(
    "E076", __doc__, check,
    source="Kubernetes core/v1 VolumeMount; the mounts that stormc/passes/ writes",
    bad=(
        Example("""
            model:
              path: /model
            """, at="model.path"),
        Example("""
            model:
              path: /usr/local/model
            """, at="model.path"),
        Example("""
            model:
              path: /dev/shm/model
            """, at="model.path"),
        Example("""
            model:
              path: /opt/model
            """, at="model.path"),
        Example("""
            model:
              path: /opt/stormc/launcher/model
            """, at="model.path"),
        Example("""
            model:
              path: /mnt/a:b/model
            """, at="model.path"),
        Example("""
            engine:
              script:
                hostPath: /mnt/models/
                command: exec ./serve
            """, at="engine.script.hostPath"),
        Example("""
            volumes:
            - mountPath: /dev/shm
              emptyDir: {}
            """, at="volumes[0]"),
        Example("""
            volumes:
            - mountPath: /data/a
              persistentVolumeClaim: a
            - mountPath: /data/a
              persistentVolumeClaim: b
            """, at="volumes[1]"),
        Example("""
            prefill:
              volumes:
              - name: launcher
                mountPath: /data/a
                persistentVolumeClaim: a
            """, at="prefill.volumes[0]"),
    ),
    instead=(
        Example("""
            model:
              path: /data/qwen:3
            """),
    ),
    good=(
        Example("""
            model:
              path: /opt/model
            engine:
              script:
                hostPath: /opt/serve
                command: exec ./serve
            """),
    ),
)  # fmt: skip
