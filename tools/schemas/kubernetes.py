"""Schemas of the Kubernetes kinds: what kubernetes-validate carries, made stricter by these tables."""

from __future__ import annotations

import json
from collections.abc import Mapping
from importlib.resources import files
from typing import Any

from tools.schemas.parts import ANNOTATIONS, DNS_LABEL, END, LABELS, PORT, STRING, TRUE, Schema, closed, list_of, ref

KUBERNETES = "1.31.0"
"""AIBrix v0.5.0 embeds the pod of Kubernetes 1.31 (go.mod: k8s.io/api 0.31.8); its CRD prunes later fields."""

WRITTEN_HERE: dict[str, Schema] = {
    "Quantity": {"type": "string", "pattern": rf"^(0|[1-9][0-9]*)(m|k|[MGTPE]|[KMGTPE]i|e-?[1-9][0-9]*)?{END}"},
    "IntOrString": {"type": ["integer", "string"]},
    "ObjectMeta": closed(
        {
            "name": STRING,
            "namespace": STRING,
            "labels": LABELS,
            "annotations": ANNOTATIONS,
            "finalizers": list_of(STRING),
        }
    ),
}
"""Definitions that replace those of Kubernetes.

Quantity: strings only, the form that Go writes back (an integer would be rewritten by AIBrix's webhook for ever).
ObjectMeta: inside a template the CRD keeps these five keys and prunes the others.
"""

REMOVED = {
    "PodSpec.ephemeralContainers": "only the ephemeralcontainers subresource may set it",
    "Service.status": "the API server writes it",
    "PodDisruptionBudget.status": "the disruption controller writes it",
}

ADDED: dict[str, Schema] = {
    # Enumerations and ranges that the Go types and pkg/apis/core/validation of kubernetes hold, its OpenAPI does not.
    "AppArmorProfile.type": {"enum": ["Localhost", "RuntimeDefault", "Unconfined"]},
    "Container.imagePullPolicy": {"enum": ["Always", "IfNotPresent", "Never"]},
    "Container.name": {"pattern": DNS_LABEL, "maxLength": 63},
    "Container.restartPolicy": {"enum": ["Always"]},
    "Container.terminationMessagePolicy": {"enum": ["File", "FallbackToLogsOnError"]},
    "ContainerPort.containerPort": PORT,
    "ContainerPort.hostPort": PORT,
    "ContainerPort.name": {"pattern": rf"^[a-z0-9]([-a-z0-9]*[a-z0-9])?{END}", "maxLength": 15},
    "ContainerPort.protocol": {"enum": ["TCP", "UDP", "SCTP"], "default": "TCP"},
    "ContainerResizePolicy.restartPolicy": {"enum": ["NotRequired", "RestartContainer"]},
    "EnvVar.name": {"minLength": 1},
    "HTTPGetAction.scheme": {"enum": ["HTTP", "HTTPS"]},
    "HostPathVolumeSource.type": {
        "enum": ["", "BlockDevice", "CharDevice", "Directory", "DirectoryOrCreate", "File", "FileOrCreate", "Socket"]
    },
    "LabelSelector.matchLabels": LABELS,
    "LabelSelectorRequirement.operator": {"enum": ["In", "NotIn", "Exists", "DoesNotExist"]},
    "NetworkPolicyPort.protocol": {"enum": ["TCP", "UDP", "SCTP"], "default": "TCP"},
    "NetworkPolicySpec.policyTypes": {"minItems": 1},
    "NodeSelectorRequirement.operator": {"enum": ["In", "NotIn", "Exists", "DoesNotExist", "Gt", "Lt"]},
    "PodOS.name": {"enum": ["linux", "windows"]},
    "PodSecurityContext.fsGroupChangePolicy": {"enum": ["Always", "OnRootMismatch"]},
    "PodSecurityContext.supplementalGroupsPolicy": {"enum": ["Merge", "Strict"]},
    "PodSpec.containers": {"minItems": 1},
    "PodSpec.dnsPolicy": {"enum": ["ClusterFirst", "ClusterFirstWithHostNet", "Default", "None"]},
    "PodSpec.nodeSelector": LABELS,
    "PodSpec.preemptionPolicy": {"enum": ["Never", "PreemptLowerPriority"]},
    "PodSpec.restartPolicy": {"enum": ["Always", "OnFailure", "Never"]},
    "PodSpec.terminationGracePeriodSeconds": {"minimum": 0},
    "Probe.failureThreshold": {"minimum": 1},
    "Probe.initialDelaySeconds": {"minimum": 0},
    "Probe.periodSeconds": {"minimum": 1},
    "Probe.successThreshold": {"minimum": 1},
    "Probe.timeoutSeconds": {"minimum": 1},
    "SeccompProfile.type": {"enum": ["Localhost", "RuntimeDefault", "Unconfined"]},
    "SecurityContext.procMount": {"enum": ["Default", "Unmasked"]},
    "ServicePort.name": {"pattern": DNS_LABEL, "maxLength": 63},
    "ServicePort.nodePort": PORT,
    "ServicePort.port": PORT,
    "ServicePort.protocol": {"enum": ["TCP", "UDP", "SCTP"], "default": "TCP"},
    "ServiceSpec.externalTrafficPolicy": {"enum": ["Cluster", "Local"]},
    "ServiceSpec.internalTrafficPolicy": {"enum": ["Cluster", "Local"]},
    "ServiceSpec.ipFamilyPolicy": {"enum": ["SingleStack", "PreferDualStack", "RequireDualStack"]},
    "ServiceSpec.selector": LABELS,
    "ServiceSpec.sessionAffinity": {"enum": ["ClientIP", "None"]},
    "ServiceSpec.type": {"enum": ["ClusterIP", "NodePort", "LoadBalancer", "ExternalName"]},
    "Toleration.effect": {"enum": ["NoSchedule", "PreferNoSchedule", "NoExecute"]},
    "Toleration.operator": {"enum": ["Exists", "Equal"]},
    "TopologySpreadConstraint.nodeAffinityPolicy": {"enum": ["Honor", "Ignore"]},
    "TopologySpreadConstraint.nodeTaintsPolicy": {"enum": ["Honor", "Ignore"]},
    "TopologySpreadConstraint.whenUnsatisfiable": {"enum": ["DoNotSchedule", "ScheduleAnyway"]},
    "VolumeMount.mountPropagation": {"enum": ["None", "HostToContainer", "Bidirectional"]},
    "VolumeMount.recursiveReadOnly": {"enum": ["Disabled", "IfPossible", "Enabled"]},
}
FILLED: Schema = {"minLength": 1}
DROPPED_IF_ZERO: dict[str, Schema] = {
    "Container.stdin": TRUE,
    "Container.stdinOnce": TRUE,
    "Container.tty": TRUE,
    "EmptyDirVolumeSource.medium": FILLED,
    "EnvVar.value": FILLED,
    "PersistentVolumeClaimVolumeSource.readOnly": TRUE,
    "PodSpec.hostIPC": TRUE,
    "PodSpec.hostNetwork": TRUE,
    "PodSpec.hostPID": TRUE,
    "Probe.initialDelaySeconds": {"minimum": 1},
    "Role.stateful": TRUE,
    "StormServiceSpec.paused": TRUE,
    "StormServiceSpec.stateful": TRUE,
    "Toleration.key": FILLED,
    "Toleration.value": FILLED,
    "VolumeMount.readOnly": TRUE,
}
"""Fields of a StormService that Go leaves out when they are false, 0 or empty, as it does with every list and map.

AIBrix's webhook writes each object through Go structs (controller-runtime v0.19.2 defaulterForType): such a field
differs from Git for ever, and an empty list hashes differently from none, which recreates NPU pods. Pointers, which
keep their zero (replicas, optional, emptyDir: {}), are not here. Source: omitempty in k8s.io/api core/v1 types.go and
AIBrix api/orchestration/v1alpha1.
"""
FILLED_IN: dict[str, tuple[str, ...]] = {
    "ConfigMapEnvSource": ("name",),
    "ConfigMapKeySelector": ("name",),
    "ConfigMapVolumeSource": ("name",),
    "ContainerPort": ("protocol",),
    "LocalObjectReference": ("name",),
    "SecretEnvSource": ("name",),
    "SecretKeySelector": ("name",),
}
"""Fields of a StormService that the CRD's defaults fill in where they are missing: written here, or an empty name."""
REQUIRED = {
    # A template without an image is valid to the API only because an admission plugin may fill it in.
    "Container": ("image",),
    "Service": ("apiVersion", "kind", "metadata", "spec"),
    "ConfigMap": ("apiVersion", "kind", "metadata"),
    "PodDisruptionBudget": ("apiVersion", "kind", "metadata", "spec"),
    "NetworkPolicy": ("apiVersion", "kind", "metadata", "spec"),
}


def kubernetes_definitions() -> dict[str, Schema]:
    """What kubernetes-validate carries, by the last part of the name; no two of ours share one."""
    source = files("kubernetes_validate") / "kubernetes-json-schema" / f"v{KUBERNETES}-local" / "_definitions.json"
    carried: dict[str, Schema] = json.loads(source.read_text(encoding="utf-8"))["$defs"]
    ours = (
        "io.k8s.api.core.v1.", "io.k8s.api.policy.v1.", "io.k8s.api.networking.v1.", "io.k8s.apimachinery.",
    )  # fmt: skip
    return {name.rsplit(".", 1)[1]: schema for name, schema in carried.items() if name.startswith(ours)}


def _strict(node: Any) -> Any:
    """A carried schema in the dialect of our files: closed objects, no null, only keywords that check something."""
    if "$ref" in node:
        return ref(node["$ref"].rsplit(".", 1)[1])
    kind = next(name for name in (node["type"] if isinstance(node["type"], list) else [node["type"]]) if name != "null")
    schema: Schema = {"type": kind}
    if "enum" in node:
        schema["enum"] = node["enum"]
    if kind == "array":
        schema["items"] = _strict(node["items"])
        if node.get("x-kubernetes-list-type") == "set":
            schema["uniqueItems"] = True
        if node.get("x-kubernetes-list-type") == "map":
            schema["x-kubernetes-list-map-keys"] = node["x-kubernetes-list-map-keys"]
    if kind == "object" and "additionalProperties" in node:
        schema["additionalProperties"] = _strict(node["additionalProperties"])
    elif kind == "object":
        schema = closed({key: _strict(value) for key, value in node.get("properties", {}).items()})
        if node.get("required"):
            schema["required"] = sorted(node["required"])
    return schema


def kubernetes_schema(name: str, carried: Mapping[str, Schema]) -> Schema:
    """One definition of Kubernetes with our tables applied."""
    if name in WRITTEN_HERE:
        return WRITTEN_HERE[name]
    schema: Schema = _strict(carried[name])
    properties: dict[str, Schema] = schema.get("properties", {})
    for field in list(properties):
        place = f"{name}.{field}"
        if place in REMOVED:
            del properties[field]
        elif place in ADDED:
            properties[field] = {**properties[field], **ADDED[place]}
    if name in REQUIRED:
        schema["required"] = sorted({*schema.get("required", ()), *REQUIRED[name]})
    return schema


def _filled(node: Any) -> Any:
    """The schema with no list and no free map allowed to be empty."""
    if isinstance(node, list):
        return [_filled(item) for item in node]
    if not isinstance(node, dict):
        return node
    result = {key: _filled(value) for key, value in node.items()}
    if node.get("type") == "array":
        result.setdefault("minItems", 1)
    elif node.get("type") == "object" and isinstance(node.get("additionalProperties"), dict):
        result.setdefault("minProperties", 1)
    return result


def without_zeros(definitions: Mapping[str, Schema]) -> dict[str, Schema]:
    """The definitions for an object that Go structs write back."""
    result: dict[str, Schema] = _filled(definitions)
    for place, more in DROPPED_IF_ZERO.items():
        name, field = place.split(".")
        result[name]["properties"][field] |= more
    for name, fields in FILLED_IN.items():
        result[name]["required"] = sorted({*result[name].get("required", ()), *fields})
    return result
