"""Small valid manifests of the kinds that are rendered, and how tests change them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from stormc.emit import schema_check

Manifest = dict[str, Any]


def container(name: str) -> Manifest:
    return {
        "name": name,
        "image": "vllm-ascend:v0.12.0rc1",
        "command": ["/bin/bash"],
        "env": [
            {"name": "A", "value": "1"},
            {"name": "POD_IP", "valueFrom": {"fieldRef": {"apiVersion": "v1", "fieldPath": "status.podIP"}}},
        ],
        "ports": [
            {"name": "rank-0", "containerPort": 8080, "protocol": "TCP"},
            {"name": "rank-1", "containerPort": 8081, "protocol": "TCP"},
        ],
        "resources": {"limits": {"huawei.com/Ascend910": "16", "memory": "64Gi", "cpu": "500m"}},
        "readinessProbe": {"httpGet": {"path": "/health", "port": 8080}, "periodSeconds": 5},
        "volumeMounts": [{"name": "shm", "mountPath": "/dev/shm"}],
    }


def role(name: str, size: int) -> Manifest:
    return {
        "name": name,
        "replicas": 2,
        "stateful": True,
        "podGroupSize": size,
        "upgradeOrder": 1,
        "updateStrategy": {"maxUnavailable": 1},
        "template": {
            "metadata": {"labels": {"fault-scheduling": "force"}, "annotations": {"sp-block": "16"}},
            "spec": {
                "schedulerName": "volcano",
                "nodeSelector": {"accelerator-type": "module-a3-16-super-pod"},
                "tolerations": [{"key": "npu", "operator": "Exists"}],
                "restartPolicy": "Never",
                "containers": [container(name)],
                "volumes": [{"name": "shm", "emptyDir": {"medium": "Memory", "sizeLimit": "16Gi"}}],
            },
        },
    }


def storm_service() -> Manifest:
    return {
        "apiVersion": "orchestration.aibrix.ai/v1alpha1",
        "kind": "StormService",
        "metadata": {"name": "qwen3", "namespace": "inference", "labels": {"app.kubernetes.io/name": "qwen3"}},
        "spec": {
            "replicas": 1,
            "stateful": True,
            "updateStrategy": {"type": "InPlaceUpdate"},
            "selector": {"matchLabels": {"stormc.dev/app": "inference.qwen3"}},
            "template": {
                "metadata": {"labels": {"stormc.dev/app": "inference.qwen3"}},
                "spec": {"updateStrategy": "Sequential", "roles": [role("prefill", 1), role("decode", 2)]},
            },
        },
    }


def service() -> Manifest:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "qwen3-prefill-0", "namespace": "inference"},
        "spec": {
            "type": "ClusterIP",
            "selector": {"role-name": "prefill"},
            "ports": [
                {"name": "rank-0", "port": 8080, "targetPort": 8080, "protocol": "TCP"},
                {"name": "rank-1", "port": 8081, "targetPort": "rank-1", "protocol": "TCP"},
            ],
        },
    }


def config_map() -> Manifest:
    metadata = {"name": "qwen3-proxy", "namespace": "inference"}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"config.json": "{}\n"}}


def kustomization() -> Manifest:
    kind = {"apiVersion": "kustomize.config.k8s.io/v1beta1", "kind": "Kustomization"}
    return {**kind, "resources": ["service-a.yaml", "service-b.yaml"]}


VALID: list[Callable[[], Manifest]] = [storm_service, service, config_map, kustomization]
NAMES = sorted(schema_check.SCHEMAS.values())
DELETE = object()
ROLE = "spec.template.spec.roles.0"
POD = f"{ROLE}.template.spec"
CONTAINER = f"{POD}.containers.0"


def put(manifest: Manifest, path: str, value: Any) -> Manifest:
    """Sets or deletes the value at a dotted path; a step of a list is its index, `+` appends. `~` stands for a dot."""
    node: Any = manifest
    steps = [step.replace("~", ".") for step in path.split(".")]
    for step in steps[:-1]:
        node = node[int(step)] if isinstance(node, list) else node.setdefault(step, {})
    if value is DELETE:
        del node[int(steps[-1]) if isinstance(node, list) else steps[-1]]
    elif steps[-1] == "+":
        node.append(value)
    else:
        node[int(steps[-1]) if isinstance(node, list) else steps[-1]] = value
    return manifest
