"""How the engine starts: the launcher with the vLLM flags, a start script on the nodes, or a command of the user's.

The flags stand literally in `args`, so that a reviewer sees what runs; the launcher (stormc/payload/launch.py) adds
only what differs between the ranks of an instance. It is mounted from a ConfigMap whose name never changes: a new
launcher touches no pod template and serves the pods that start after it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from stormc.model.app import App, Ref, Role
from stormc.model.flags import words_of
from stormc.model.profile import Platform
from stormc.model.role import Prepended
from stormc.passes.edit import Edit, container_path, pod_path, storm
from stormc.passes.engine.flags import flags

LAUNCHER_DIRECTORY = "/opt/stormc/launcher"
LAUNCHER_KEY = "launch.py"


def apply(app: App, platform: Platform) -> Iterator[Edit]:
    """Command and arguments of the engine containers, and the volume that their program comes from."""
    engine = app.engine
    if engine.launches:
        launcher = Ref("ConfigMap", app.launcher_config)
        yield Edit(launcher, ("data", LAUNCHER_KEY), app.payload.launcher, "the launcher of this stormc")
    for role in app.serving_roles:
        if engine.command is not None:
            path = container_path(role.name, role.name, "command")
            yield Edit(storm(app), path, list(engine.command), "engine.command")
        elif engine.script:
            yield from _script(app, role, engine.script.directory, engine.script.command)
        else:
            yield from _launcher(app, role)


def _launcher(app: App, role: Role) -> Iterator[Edit]:
    service, name, because = storm(app), role.name, "the launcher"
    command = ["python3", f"{LAUNCHER_DIRECTORY}/{LAUNCHER_KEY}"]
    yield Edit(service, container_path(name, name, "command"), command, because)
    yield Edit(service, container_path(name, name, "args"), _arguments(app, role), f"{name}.engineArgs")
    source = {"configMap": {"name": app.launcher_config}}
    yield from _program(app, role, "launcher", source, LAUNCHER_DIRECTORY, because)


def _script(app: App, role: Role, directory: str, command: str) -> Iterator[Edit]:
    service, name, because = storm(app), role.name, "engine.script"
    yield Edit(service, container_path(name, name, "command"), ["/bin/bash", "-c", command], because)
    yield Edit(service, container_path(name, name, "workingDir"), directory, because)
    source = {"hostPath": {"path": directory, "type": "Directory"}}
    yield from _program(app, role, "script", source, directory, because)


def _program(app: App, role: Role, volume: str, source: dict[str, Any], directory: str, because: str) -> Iterator[Edit]:
    """The volume that holds the program, mounted read-only."""
    yield Edit(storm(app), pod_path(role.name, "volumes", (volume,)), {"name": volume, **source}, because)
    mount = {"name": volume, "mountPath": directory, "readOnly": True}
    yield Edit(storm(app), container_path(role.name, role.name, "volumeMounts", (directory,)), mount, because)


def _arguments(app: App, role: Role) -> list[str]:
    kinds = role.facts.flags
    arguments = [*launcher_options(role), "--", "vllm", "serve", app.model.path]
    for flag, value in flags(app, role).items():
        arguments += words_of(flag, value, kinds.get(flag))
    return arguments


def launcher_options(role: Role) -> list[str]:
    """How the launcher starts the ranks of a pod, and the variables that it extends."""
    prepended = [f"--prepend={n}={v.text}" for n, v in sorted(role.env.items()) if isinstance(v, Prepended)]
    if role.independent:
        return [f"--independent={role.local_ranks}", *prepended]
    if role.spans_pods:
        return ["--multi-node", *prepended]
    return ["--external-dp", *prepended] if role.distributed_dp else prepended
