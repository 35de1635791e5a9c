"""How the engine starts: the launcher with the vLLM flags, a start script on the nodes, or a command of the user's.

The flags stand literally in `args`, so that a reviewer sees what runs; the launcher (stormc/payload/launch.py) adds
only what differs between the ranks of an instance. It is mounted from a ConfigMap whose name never changes: a new
launcher touches no pod template and serves the pods that start after it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from stormc.facts.keys import Directory
from stormc.model import kv
from stormc.model.app import App, Role
from stormc.model.flags import dotted_words, words_of
from stormc.model.profile import Platform
from stormc.model.role import Prepended
from stormc.passes.because import Because, Reason, fact, of
from stormc.passes.edit import REMOVED, Edit, argument_keys, storm
from stormc.passes.engine.flags import APART, ARGUMENTS_EXIST, POD_GROUP_SIZE, RANKS, flags
from stormc.payload.objects import LAUNCHER_CONFIG
from stormc.targets.programs import LAUNCHER_COMMAND, PREPEND, Volume
from stormc.targets.storm_service import container_path, pod_path

SOURCE = "docs/spec.md engine"
COMMAND = ("engine", "command")
SCRIPT_COMMAND = ("engine", "script", "command")
SCRIPT_DIRECTORY = ("engine", "script", "hostPath")

COMMAND_OF_USER = of(COMMAND, SCRIPT_COMMAND)
COMMAND_OF_SCRIPT = of(SCRIPT_COMMAND, COMMAND)
COMMAND_OF_LAUNCHER = fact("launcher", SOURCE, COMMAND, SCRIPT_COMMAND)
LAUNCHER_MOUNT = fact("launcher", SOURCE, exists_if=ARGUMENTS_EXIST)
CALLED_MOUNT = fact("launcher", SOURCE, exists_if=(COMMAND,))
IN_SCRIPT = fact("stormc", SOURCE, exists_if=(("engine", "script"),))
SCRIPT_VOLUME: Reason = {(): IN_SCRIPT, ("hostPath", "path"): of(SCRIPT_DIRECTORY)}
SCRIPT_MOUNT = of(SCRIPT_DIRECTORY)
PROGRAM = fact("vllm", "vllm serve", exists_if=ARGUMENTS_EXIST)
MODEL_PATH = of(("model", "path"), exists_if=ARGUMENTS_EXIST)
MULTI_NODE = fact("launcher", SOURCE, exists_if=(*ARGUMENTS_EXIST, RANKS, POD_GROUP_SIZE))
EXTERNAL_DP = fact("launcher", SOURCE, exists_if=(*ARGUMENTS_EXIST, *APART, POD_GROUP_SIZE))
INDEPENDENT = of(RANKS, POD_GROUP_SIZE, exists_if=(*ARGUMENTS_EXIST, *APART))


def apply(app: App, platform: Platform) -> Iterator[Edit]:
    """Command and arguments of the engine containers, and the volume that their program comes from."""
    engine = app.engine
    for role in app.serving_roles:
        if engine.command is not None:
            path = container_path(role.name, role.name, "command")
            yield Edit(storm(app), path, list(engine.command), COMMAND_OF_USER)
            if engine.needs_launcher:
                source = {"configMap": {"name": LAUNCHER_CONFIG}}
                yield from _program(
                    app, role, Volume.LAUNCHER, source, Directory.LAUNCHER, (CALLED_MOUNT, CALLED_MOUNT)
                )
        elif engine.script:
            yield from _script(app, role, engine.script.directory, engine.script.command)
        else:
            yield from _launcher(app, role)


def _launcher(app: App, role: Role) -> Iterator[Edit]:
    service, name = storm(app), role.name
    yield Edit(service, container_path(name, name, "command"), list(LAUNCHER_COMMAND), COMMAND_OF_LAUNCHER)
    yield from _arguments(app, role)
    source = {"configMap": {"name": LAUNCHER_CONFIG}}
    yield from _program(app, role, Volume.LAUNCHER, source, Directory.LAUNCHER, (LAUNCHER_MOUNT, LAUNCHER_MOUNT))


def _script(app: App, role: Role, directory: str, command: str) -> Iterator[Edit]:
    service, name = storm(app), role.name
    yield Edit(service, container_path(name, name, "command"), ["/bin/bash", "-c", command], COMMAND_OF_SCRIPT)
    yield Edit(service, container_path(name, name, "workingDir"), directory, SCRIPT_MOUNT)
    source = {"hostPath": {"path": directory, "type": "Directory"}}
    yield from _program(app, role, Volume.SCRIPT, source, directory, (SCRIPT_VOLUME, SCRIPT_MOUNT))


def _program(
    app: App, role: Role, volume: str, source: dict[str, Any], directory: str, because: tuple[Reason, Reason]
) -> Iterator[Edit]:
    """The volume that holds the program, mounted read-only."""
    yield Edit(storm(app), pod_path(role.name, "volumes", (volume,)), {"name": volume, **source}, because[0])
    mount = {"name": volume, "mountPath": directory, "readOnly": True}
    yield Edit(storm(app), container_path(role.name, role.name, "volumeMounts", (directory,)), mount, because[1])


def _arguments(app: App, role: Role) -> Iterator[Edit]:
    """One edit per argument; what the user replaces or removes is written first, so that it is not forgotten."""
    service, path = storm(app), container_path(role.name, role.name, "args")
    passed = list(_passed(app, role))
    keys = iter(argument_keys([word for words, _, _ in passed for word in words]))
    for words, because, replaced in passed:
        keys_of_words = [next(keys) for _ in words]
        for text, reason in replaced:
            (key,) = argument_keys([text])
            yield Edit(service, (*path, key), text, reason)
            if key not in keys_of_words:
                yield Edit(service, (*path, key), REMOVED, because)
        for key, word in zip(keys_of_words, words, strict=True):
            yield Edit(service, (*path, key), word, because)


Passed = tuple[list[str], Because, list[tuple[str, Because]]]
"""Words of the command line, why they stand there, and what they replace."""


def _passed(app: App, role: Role) -> Iterator[Passed]:
    kinds = role.facts.flags
    yield from _launcher_options(role)
    yield ["--", "vllm", "serve"], PROGRAM, []
    yield [app.model.path], MODEL_PATH, []
    for name, value, because, before in flags(app, role):
        replaced = [(word, before[1]) for word in words_of(name, before[0], kinds.get(name))] if before else []
        user = role.flags.get(name)
        if user is not None and user.dotted and name != kv.CONFIG:
            yield list(dotted_words(name, user.value)), because, replaced
        else:
            yield list(words_of(name, value, kinds.get(name))), because, replaced


def _launcher_options(role: Role) -> Iterator[Passed]:
    """How the launcher starts the ranks of a pod, and the variables that it extends."""
    if role.independent:
        yield [f"--independent={role.local_ranks}"], INDEPENDENT, []
    elif role.spans_pods:
        yield ["--multi-node"], MULTI_NODE, []
    elif role.distributed_dp:
        yield ["--external-dp"], EXTERNAL_DP, []
    for name, value in sorted(role.env.items()):
        if isinstance(value, Prepended):
            because = of((role.name, "env", name), ("engine", "env", name), exists_if=ARGUMENTS_EXIST)
            yield [f"{PREPEND}{name}={value.text}"], because, []
