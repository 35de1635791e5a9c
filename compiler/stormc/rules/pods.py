"""What the API server checks only when pods are made of a template: the StormService is accepted, its pods are not."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from stormc.finding import Path
from stormc.model.quantity import exceeds
from stormc.rules.finished import Finished, Template
from stormc.rules.hardware import NPU_RESOURCES
from stormc.rules.rule import IN_ROLE, Example, Rule, Sees, Violation, in_role

PROBES = ("livenessProbe", "readinessProbe", "startupProbe")
HANDLERS = ("exec", "grpc", "httpGet", "tcpSocket")


def _containers(finished: Finished) -> Iterator[tuple[Template, str, Mapping[str, Any]]]:
    """Template, list and container of every container, where an override may have changed one."""
    for template in finished.templates if finished.app.overrides else ():
        for kind in ("initContainers", "containers"):
            for container in template.pod.get(kind) or ():
                yield template, kind, container


def _wrote(finished: Finished, template: Template, kind: str, container: str, *steps: str | tuple[str]) -> Path:
    return finished.wrote_pod(template.role, (kind, (container,), *steps), ("overrides",))


def check_volumes(finished: Finished) -> Iterator[Violation]:
    """Every mounted volume is declared.

    The StormService is accepted; its pods are not, and AIBrix tries again for ever.
    """
    for template, kind, container in _containers(finished):
        volumes = {volume["name"] for volume in template.pod.get("volumes") or ()}
        for mount in container.get("volumeMounts") or ():
            if mount["name"] not in volumes:
                path = _wrote(finished, template, kind, container["name"], "volumeMounts", (mount["mountPath"],))
                yield Violation(path, f"{template.role} mounts volume {mount['name']}, which it does not declare",
                                "add it to volumes")  # fmt: skip


def check_volume_sources(finished: Finished) -> Iterator[Violation]:
    """A volume has one source.

    A patch adds its source to the one that is there. The StormService is accepted with both; its pods are not.
    """
    for template in finished.templates if finished.app.overrides else ():
        for volume in template.pod.get("volumes") or ():
            sources = sorted(volume.keys() - {"name"})
            if len(sources) > 1:
                path = finished.wrote_pod(template.role, ("volumes", (volume["name"],)), ("overrides",))
                yield Violation(path, f"volume {volume['name']} of {template.role} has {' and '.join(sources)}",
                                "set the one that is not meant to null")  # fmt: skip


def check_tolerations(finished: Finished) -> Iterator[Violation]:
    """The fields of a toleration go together.

    Without a key the operator is Exists, with Exists there is no value, and seconds belong to NoExecute. The
    StormService is accepted otherwise too; its pods are not.
    """
    for template in finished.templates:
        for index, toleration in enumerate(template.pod.get("tolerations") or ()):
            problem = _toleration_problem(toleration)
            if problem:
                path = finished.wrote_pod(template.role, ("tolerations",), (template.role, "tolerations"))
                yield Violation((*path, index), f"a toleration of {template.role} {problem[0]}", problem[1])


def _toleration_problem(toleration: Mapping[str, Any]) -> tuple[str, str] | None:
    exists = toleration.get("operator") == "Exists"
    if not toleration.get("key") and not exists:
        return "has no key", "name the taint's key, or set operator: Exists to tolerate every taint"
    if exists and toleration.get("value"):
        return f"has operator Exists and value {toleration['value']}", "remove value, or set operator: Equal"
    if "tolerationSeconds" in toleration and toleration.get("effect") != "NoExecute":
        return "has tolerationSeconds without effect NoExecute", "set effect: NoExecute, or remove tolerationSeconds"
    return None


def check_amounts(finished: Finished) -> Iterator[Violation]:
    """No container requests more than its limit.

    The StormService is accepted; its pods are not, and AIBrix tries again for ever.
    """
    for template, kind, container in _containers(finished):
        resources = container.get("resources") or {}
        limits = resources.get("limits") or {}
        for resource, amount in (resources.get("requests") or {}).items():
            if resource in limits and not resource.startswith(NPU_RESOURCES) and exceeds(amount, limits[resource]):
                path = _wrote(finished, template, kind, container["name"], "resources", "requests", resource)
                if path == ("overrides",):
                    path = _wrote(finished, template, kind, container["name"], "resources", "limits", resource)
                yield Violation(path, f"container {container['name']} of {template.role} requests {amount} {resource}, "
                                f"its limit is {limits[resource]}", "patch requests and limits")  # fmt: skip


def check_probes(finished: Finished) -> Iterator[Violation]:
    """A probe has one handler, and only readiness may need several successes.

    A patch adds its handler to the one that is there. The StormService is accepted with two, or none; its pods are not.
    """
    for template, kind, container in _containers(finished):
        for name in PROBES:
            wrong = _probe_problem(name, container.get(name))
            if wrong:
                path = _wrote(finished, template, kind, container["name"], name)
                message = f"{name} of container {container['name']} in {template.role} {wrong[0]}"
                yield Violation(path, message, wrong[1])


def _probe_problem(name: str, probe: Mapping[str, Any] | None) -> tuple[str, str] | None:
    if probe is None:
        return None
    handlers = [handler for handler in HANDLERS if handler in probe]
    if len(handlers) > 1:
        return f"has {' and '.join(handlers)}", "set the one that is not meant to null"
    if not handlers:
        return "asks nothing", f"add one of {', '.join(HANDLERS)}"
    if name != "readinessProbe" and probe.get("successThreshold", 1) != 1:
        return f"has successThreshold {probe['successThreshold']}", "only a readinessProbe may have another than 1"
    return None


def check_sources(finished: Finished) -> Iterator[Violation]:
    """An environment variable has one source.

    A patch adds its value to the valueFrom that is there. The StormService is accepted with both; its pods are not.
    """
    for template, kind, container in _containers(finished):
        for entry in container.get("env") or ():
            sources = [key for key in ("value", *(entry.get("valueFrom") or ())) if key in entry or key != "value"]
            if len(sources) > 1:
                path = _wrote(finished, template, kind, container["name"], "env", (entry["name"],))
                yield Violation(path, f"{entry['name']} of {template.role} has {' and '.join(sources)}",
                                "set the one that is not meant to null")  # fmt: skip


_POD_API = "Kubernetes core/v1 validation of pods; AIBrix CRD v0.5.0 does not check it"
_CONTAINER = "{spec: {containers: [{name: %s}]}}"
_AT = f"{IN_ROLE}.spec.containers[0]"

RULES = (
    Rule(
        "E059", check_volumes, _POD_API,
        bad=(
            Example(in_role("decode", _CONTAINER % "decode, volumeMounts: [{name: cache, mountPath: /cache}]"),
                    f"{_AT}.volumeMounts[0]"),
            Example(in_role("decode", "{spec: {initContainers: [{name: warm, image: 'a:1', volumeMounts: "
                                      "[{name: cache, mountPath: /cache}]}]}}"),
                    f"{IN_ROLE}.spec.initContainers[0].volumeMounts[0]"),
        ),
        good=(Example(in_role("decode", "{spec: {volumes: [{name: cache, emptyDir: {}}], containers: "
                                        "[{name: decode, volumeMounts: [{name: cache, mountPath: /cache}]}]}}")),),
        sees=Sees.MANIFESTS,
    ),
    Rule(
        "E077", check_tolerations, "Kubernetes core/v1 ValidateTolerations; AIBrix CRD v0.5.0 does not check it",
        bad=(
            Example("decode: {tolerations: [{key: a, operator: Exists}, {value: b}]}", "decode.tolerations[1]"),
            Example("routing: {tolerations: [{key: a, operator: Exists, value: b}]}", "routing.tolerations[0]"),
            Example("decode: {tolerations: [{key: a, value: b, tolerationSeconds: 60}]}", "decode.tolerations[0]"),
            Example(in_role("decode", "{spec: {tolerations: [{effect: NoSchedule}]}}"),
                    f"{IN_ROLE}.spec.tolerations[0]"),
        ),
        good=(Example("decode: {tolerations: [{operator: Exists}, {key: a}, {key: b, operator: Equal, value: c, "
                      "effect: NoExecute, tolerationSeconds: 60}]}"),),
        sees=Sees.MANIFESTS,
    ),
    Rule(
        "E078", check_volume_sources, _POD_API,
        bad=(Example(in_role("decode", "{spec: {volumes: [{name: model, nfs: {server: a, path: /b}}]}}"),
                     f"{IN_ROLE}.spec.volumes[0]"),),
        good=(Example(in_role("decode", "{spec: {volumes: [{name: model, nfs: {server: a, path: /b}, hostPath: null}]}}"
                              )),),
        sees=Sees.MANIFESTS,
    ),
    Rule(
        "E073", check_amounts, _POD_API,
        bad=(
            Example(in_role("decode", _CONTAINER % "decode, resources: {requests: {cpu: 8}, limits: {cpu: 7500m}}"),
                    f"{_AT}.resources.requests.cpu"),
            Example("{decode: {resources: {memory: 64Gi}}, "
                    + in_role("decode", _CONTAINER % "decode, resources: {limits: {memory: 32Gi}}") + "}",
                    f"{_AT}.resources.limits.memory"),
        ),
        good=(Example(in_role("decode", _CONTAINER % "decode, resources: {requests: {cpu: 8}, limits: {cpu: 8}}")),),
        sees=Sees.MANIFESTS,
    ),
    Rule(
        "E074", check_probes, _POD_API,
        bad=(
            Example(in_role("prefill", _CONTAINER % "prefill, readinessProbe: {tcpSocket: {port: 8080}}"),
                    f"{_AT}.readinessProbe"),
            Example(in_role("decode", _CONTAINER % "decode, livenessProbe: {periodSeconds: 5}"),
                    f"{_AT}.livenessProbe"),
            Example(in_role("decode", _CONTAINER % "decode, livenessProbe: {grpc: {port: 1}, successThreshold: 2}"),
                    f"{_AT}.livenessProbe"),
        ),
        good=(Example(in_role("decode", _CONTAINER % "decode, livenessProbe: {exec: {command: [a]}}")),),
        sees=Sees.MANIFESTS,
    ),
    Rule(
        "E075", check_sources, _POD_API,
        bad=(Example(in_role("decode", _CONTAINER % "decode, env: [{name: HCCL_IF_IP, value: 10.0.0.1}]"),
                     f"{_AT}.env[0]"),),
        good=(Example(in_role("decode", _CONTAINER % "decode, env: [{name: HCCL_IF_IP, value: 10.0.0.1, "
                              "valueFrom: null}]")),),
        sees=Sees.MANIFESTS,
    ),
)  # fmt: skip
