"""What runs in the pods of an app: images, containers, commands, and what loads further code."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

from stormc.facts.keys import Directory
from stormc.facts.limits import ROUTING, SERVING_ROLES
from stormc.facts.pods import PROBES
from stormc.finding import Path, dotted, shown
from stormc.phrase import phrase
from stormc.policy.breach import Breach, Case
from stormc.policy.concerns import COMMAND, CONTAINER, PINNED, REGISTRY, REMOTE_CODE
from stormc.policy.pods import Container, Pod, flags_of
from stormc.policy.policy import NO_POLICY, begins, below
from stormc.targets.programs import Volume

CODE_FLAGS = (
    "config", "io-processor-plugin", "log-config-file", "logits-processors", "middleware", "reasoning-parser-plugin",
    "scheduler-cls", "tool-parser-plugin", "worker-cls", "worker-extension-cls",
)  # fmt: skip
"""Flags of vLLM whose value is a file or a class that the engine imports (vllm/engine/arg_utils.py, cli_args.py)."""
CODE_KEYS = (
    "kv_connector_module_path", "ec_connector_module_path", "reasoning_parser_plugin", "logits_processors",
    "custom_op_path", "post_grad_custom_post_pass", "post_grad_custom_pre_pass", "worker_cls", "scheduler_cls",
)  # fmt: skip
"""Keys of flags that hold JSON, of the same kind (vllm/config/*.py)."""
CLIENT_FLAGS = ("allowed-local-media-path", "enable-prompt-embeds")
"""Flags by which clients make the engine read files of the container, or load tensors that they send."""
EXECUTORS = ("mp", "ray", "uni", "external_launcher")
SHELL = frozenset(";|&<>`(\n")
"""What makes more of a command than a program with its arguments."""
PROGRAMS = (
    "/usr", "/lib", "/lib64", "/bin", "/sbin", "/vllm-workspace", Directory.STORMC, "/etc/ld.so.preload",
    "/etc/ld.so.conf", "/etc/ld.so.conf.d", "/etc/profile", "/etc/profile.d", "/root/.local", "/root/.bashrc",
)  # fmt: skip
"""Where the programs of an engine's image lie, and what names further ones to load."""
_TRUST = "trust-remote-code"


def containers(pod: Pod) -> Iterator[Breach]:
    """Images, and containers beside stormc's."""
    for (kind, index), container in pod.containers:
        at: Path = (kind, index)
        own, name = pod.own(at, container), str(container.get("name"))
        yield from _image(pod, pod.at((*at, "image"), (pod.role, "image") if own else ()), str(container.get("image")))
        if not own:
            beside = phrase("an override adds container {name} to {role}", role=pod.role, name=name)
            new_role = phrase("an override adds role {role} with container {name}", role=pod.role, name=name)
            message = beside if pod.role in (*SERVING_ROLES, ROUTING) else new_role
            hint = phrase("remove it, or say in a comment what it is for: # stormc: ignore[W808] REASON")
            yield from pod.case.breach(CONTAINER, pod.at(at), message, hint)


def patched_commands(pod: Pod) -> Iterator[Breach]:
    """Commands, hooks and probes that an override writes."""
    for at, container in pod.containers:
        own, name = pod.own(at, container), str(container.get("name"))
        for hook, handler in _hooks(container):
            if patched := pod.patched((*at, *hook)):
                words = shown(" ".join(map(str, handler)))
                message = phrase("{hook} of container {name} runs {str}", hook=dotted(hook), name=name, str=words)
                hint = phrase("use httpGet, or ask for an exception")
                yield from pod.case.breach(COMMAND, patched, message, hint)
        for field in ("command", "args", "workingDir"):
            if own and (patched := pod.patched((*at, field))):
                message = phrase("an override replaces {field_name} of container {name}", field_name=field, name=name)
                yield from pod.case.breach(COMMAND, patched, message, phrase("use engineArgs or engine.command"))


def _image(pod: Pod, path: Path, image: str) -> Iterator[Breach]:
    policy = pod.case.policy
    for number, prefixes in policy.values("registries"):
        if not any(begins(prefix, image) for prefix in prefixes):
            message = phrase("image {image} of {role} is from no allowed registry", image=shown(image), role=pod.role)
            hint = phrase("{file} allows: {prefixes}", file=policy.layers[number].file, prefixes=", ".join(prefixes))
            yield Breach(REGISTRY.forbidden.id, path, message, hint, number)
            break
    for number, how in policy.values("images"):
        tag = image.rpartition("/")[2].partition("@")[0].partition(":")[2]
        if "@sha256:" not in image and (how != "tag" or tag in ("", "latest")):
            message = phrase("image {image} of {role} has no {how}", image=shown(image), role=pod.role, how=how)
            yield Breach(PINNED.forbidden.id, path, message, phrase("pin it by {how}", how=how), number)
            break


def _hooks(container: Container) -> Iterator[tuple[Path, list[Any]]]:
    lifecycle = container.get("lifecycle") or {}
    for at, handler in (
        *((("lifecycle", hook), lifecycle.get(hook)) for hook in ("postStart", "preStop")),
        *(((probe,), container.get(probe)) for probe in PROBES),
    ):
        command = ((handler or {}).get("exec") or {}).get("command")
        if command:
            yield at, command


def hidden_programs(pod: Pod) -> Iterator[Breach]:
    """Volumes over directories of programs: their files run in place of the image's, or of stormc's launcher.

    A directory of the node at its own place is judged as a host path.
    """
    sources = {
        str(volume.get("name")): (volume.get("hostPath") or {}).get("path") for volume in pod.spec.get("volumes") or ()
    }
    for at, container in pod.containers:
        for index, mount in enumerate(container.get("volumeMounts") or ()):
            name, place = str(mount.get("name")), posixpath.normpath(str(mount.get("mountPath")))
            if not _holds_programs(place) or sources.get(name) == place:
                continue
            field: Path = ("model", "path") if name == Volume.MODEL else pod.volume_path(name)
            if path := pod.overridden((*at, "volumeMounts", index)) or field:
                message = phrase(
                    "pods of {role} have a volume over programs in {place}", role=pod.role, place=shown(place)
                )
                yield from pod.case.breach(COMMAND, path, message, phrase("build it into the image"))


@lru_cache(1024)
def _holds_programs(place: str) -> bool:
    return any(below(each, place) for each in PROGRAMS)


def flags(pod: Pod) -> Iterator[Breach]:
    """Flags by which the engine runs code of the model's directory, or from anywhere."""
    denied = next((number for number, value in pod.case.policy.values("trustRemoteCode") if value == "deny"), None)
    for at, container in pod.containers:
        if pod.role == ROUTING and pod.own(at, container):
            continue
        for written, value in flags_of(container):
            flag = written.replace("_", "-")
            imports = _imports(flag, value)
            if not imports and flag != _TRUST and flag not in CLIENT_FLAGS:
                continue
            path = pod.at((*at, "args"), pod.case.flag_path(pod.role, written))
            if flag == _TRUST and value.lower() != "false" and denied is not None:
                message = phrase(
                    "pods of {role} run code from the model's directory: --trust-remote-code", role=pod.role
                )
                hint = phrase("set engineArgs: {{trust-remote-code: null}}")
                yield Breach(REMOTE_CODE.forbidden.id, path, message, hint, denied)
            if imports:
                message = phrase("flag {flag} of {role} loads code that is not the engine's", flag=flag, role=pod.role)
                yield from pod.case.breach(COMMAND, path, message, phrase("build it into the image"))
            elif flag in CLIENT_FLAGS and value.lower() != "false":
                message = phrase("flag {flag} of {role} lets clients load files or objects", flag=flag, role=pod.role)
                yield from pod.case.breach(COMMAND, path, message, phrase("remove it, or ask for an exception"))


def _imports(flag: str, value: str) -> bool:
    """Whether a flag names a file or a class that the engine imports; dotted flags set one key of their JSON."""
    if flag == "distributed-executor-backend":
        return value not in EXECUTORS
    key = flag.rpartition(".")[2].replace("-", "_")
    return (
        (flag in CODE_FLAGS and value not in ("", "auto"))
        or ("." in flag and key in CODE_KEYS)
        or ("{" in value and any(f'"{each}"' in value for each in CODE_KEYS))
    )


def engine(pod: Pod) -> Iterator[Breach]:
    """A command or a script instead of stormc's launcher."""
    fields = pod.case.app.engine
    for field, value in (("command", fields.command), ("script", fields.script)):
        if value is not None and pod.number == 0:
            yield from _engine(pod.case, field)


def _is_more_than_a_script(case: Case) -> bool:
    """Whether the command of engine.script does more than start one program in the script's directory."""
    script = case.app.engine.script
    return script is not None and not SHELL.isdisjoint(script.command)


def _engine(case: Case, field: str) -> Iterator[Breach]:
    message = phrase("engine.{field} starts a program of the spec instead of stormc's launcher", field=field)
    path: Path = ("engine", field)
    answers = list(case.policy.values("engine", field))
    denied = next((number for number, value in answers if value == "deny"), None)
    if denied is not None:
        hint = phrase("{file} denies it", file=case.policy.layers[denied].file)
        yield Breach(COMMAND.forbidden.id, path, message, hint, denied)
    elif not case.policy.settles("engine") and (field == "command" or _is_more_than_a_script(case)):
        warned = Case(case.app, NO_POLICY, case.manifests) if answers else case
        yield from warned.breach(COMMAND, path, message, phrase("use the launcher and engineArgs"))
