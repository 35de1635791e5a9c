"""What runs in the pods of an app: images, containers, commands, and what loads further code."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from stormc.facts.limits import ROUTING, SERVING_ROLES
from stormc.finding import Path, dotted, shown
from stormc.phrase import phrase
from stormc.policy.breach import Breach, Case
from stormc.policy.concerns import COMMAND, CONTAINER, PINNED, REGISTRY, REMOTE_CODE
from stormc.policy.pods import Container, Pod
from stormc.policy.policy import NO_POLICY, begins

CODE_FLAGS = (
    "config", "io-processor-plugin", "logits-processors", "middleware", "reasoning-parser-plugin", "scheduler-cls",
    "tool-parser-plugin", "worker-cls", "worker-extension-cls",
)  # fmt: skip
"""Flags of vLLM whose value is a file or a class that the engine imports (vllm/engine/arg_utils.py, cli_args.py)."""
EXECUTORS = ("mp", "ray", "uni", "external_launcher")
MODULE = "kv_connector_module_path"
_TRUST = "trust-remote-code"


def containers(pod: Pod) -> Iterator[Breach]:
    """Images, containers beside stormc's, commands that an override replaces, hooks and probes that run something."""
    for (kind, index), container in pod.containers():
        at: Path = (kind, index)
        own, name = pod.own(at, container), str(container.get("name"))
        yield from _image(pod, pod.at((*at, "image"), (pod.role, "image") if own else ()), str(container.get("image")))
        if not own:
            beside = phrase("an override adds container {name} to {role}", role=pod.role, name=name)
            new_role = phrase("an override adds role {role} with container {name}", role=pod.role, name=name)
            message = beside if pod.role in (*SERVING_ROLES, ROUTING) else new_role
            hint = phrase("remove it, or say in a comment what it is for: # stormc: ignore[W808] REASON")
            yield from pod.case.breach(CONTAINER, pod.at(at), message, hint)
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
        *(((probe,), container.get(probe)) for probe in ("startupProbe", "readinessProbe", "livenessProbe")),
    ):
        command = ((handler or {}).get("exec") or {}).get("command")
        if command:
            yield at, command


def flags(pod: Pod) -> Iterator[Breach]:
    """Flags by which the engine runs code of the model's directory, or from anywhere."""
    denied = next((number for number, value in pod.case.policy.values("trustRemoteCode") if value == "deny"), None)
    for at, container in pod.containers():
        if pod.role == ROUTING and pod.own(at, container):
            continue
        for word in container.get("args") or ():
            written, _, value = str(word).partition("=")
            flag = written.lstrip("-").replace("_", "-")
            path = pod.at((*at, "args"), pod.case.flag_path(pod.role, written.lstrip("-")))
            if flag == _TRUST and value.lower() != "false" and denied is not None:
                message = phrase("{role} runs code from the model's directory: --trust-remote-code", role=pod.role)
                hint = phrase("set engineArgs: {{trust-remote-code: null}}")
                yield Breach(REMOTE_CODE.forbidden.id, path, message, hint, denied)
            imports = flag in CODE_FLAGS and value not in ("", "auto")
            imports |= flag == "distributed-executor-backend" and value not in EXECUTORS
            if imports or (flag == "kv-transfer-config" and MODULE in value):
                message = phrase("flag {flag} of {role} loads code that is not the engine's", flag=flag, role=pod.role)
                yield from pod.case.breach(COMMAND, path, message, phrase("build it into the image"))


def engine(pod: Pod) -> Iterator[Breach]:
    """A command or a script instead of stormc's launcher."""
    fields = pod.case.app.engine
    for field, value in (("command", fields.command), ("script", fields.script)):
        if value is not None and pod.number == 0:
            yield from _engine(pod.case, field)


def _engine(case: Case, field: str) -> Iterator[Breach]:
    message = phrase("engine.{field} starts a program of the spec instead of stormc's launcher", field=field)
    path: Path = ("engine", field)
    said = list(case.policy.values("engine", field))
    denied = next((number for number, value in said if value == "deny"), None)
    if denied is not None:
        hint = phrase("{file} denies it", file=case.policy.layers[denied].file)
        yield Breach(COMMAND.forbidden.id, path, message, hint, denied)
    elif field == "command" and not case.policy.settles("engine"):
        warned = Case(case.app, NO_POLICY, case.manifests) if said else case
        yield from warned.breach(COMMAND, path, message, phrase("use the launcher and engineArgs"))
