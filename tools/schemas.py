"""The committed schemas, made anew: what the API server accepts of our kinds, and nothing that it would drop.

Development only: `python -m tools.schemas` writes the files, a test compares them. The fields of the
Kubernetes kinds come from kubernetes-validate, which carries the API's own definitions; those of StormService are a
short table here, read from its CRD. Both are made stricter than their source: unknown fields, null, numbers with a
fraction and fields that only a server writes have no place in a rendered manifest. No prose is carried over.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

from stormc.facts import kinds

Schema = dict[str, Any]

HERE = Path(__file__).parents[1] / "compiler" / "stormc" / "emit" / "schemas"
KUBERNETES = "1.31.0"
"""AIBrix v0.5.0 embeds the pod of Kubernetes 1.31 (go.mod: k8s.io/api 0.31.8); its CRD prunes later fields."""

END = "$"
"""The end of the string for ECMA 262, Go and RE2. Python also accepts a line break there; schema_words.py does not."""

STRING: Schema = {"type": "string"}
BOOLEAN: Schema = {"type": "boolean"}
INTEGER: Schema = {"type": "integer"}
COUNT: Schema = {"type": "integer", "minimum": 0, "maximum": 2**31 - 1}
POSITIVE: Schema = {"type": "integer", "minimum": 1, "maximum": 2**31 - 1}
PORT: Schema = {"minimum": 1, "maximum": 65535}

LABEL_VALUE = rf"^([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?{END}"
KEY = rf"^([a-z0-9]([-a-z0-9.]*[a-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]{{0,61}}[A-Za-z0-9])?{END}"
DNS_LABEL = rf"^[a-z0-9]([-a-z0-9]*[a-z0-9])?{END}"
DNS_1035 = rf"^[a-z]([-a-z0-9]*[a-z0-9])?{END}"
DNS_SUBDOMAIN = rf"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*{END}"
# Source of the five: kubernetes apimachinery pkg/util/validation/validation.go.

LABELS: Schema = {
    "type": "object",
    "propertyNames": {"pattern": KEY},
    "additionalProperties": {"type": "string", "pattern": LABEL_VALUE, "maxLength": 63},
}
ANNOTATIONS: Schema = {"type": "object", "propertyNames": {"pattern": KEY}, "additionalProperties": STRING}


def _closed(properties: Mapping[str, Schema], required: tuple[str, ...] = (), **more: Any) -> Schema:
    schema: Schema = {"type": "object", "properties": dict(properties), "additionalProperties": False, **more}
    return {**schema, "required": list(required)} if required else schema


def _list(items: Schema, *keys: str, **more: Any) -> Schema:
    merge: Schema = {"x-kubernetes-list-map-keys": list(keys)} if keys else {}
    return {"type": "array", "items": items, **merge, **more}


def _ref(name: str) -> Schema:
    return {"$ref": f"#/$defs/{name}"}


def _const(value: str) -> Schema:
    return {"type": "string", "enum": [value]}


def _meta(name_pattern: str, name_max: int) -> Schema:
    """The metadata of an object that Git holds; what only the API server writes is left out."""
    return _closed(
        {
            "name": {"type": "string", "pattern": name_pattern, "maxLength": name_max},
            "namespace": {"type": "string", "pattern": DNS_LABEL, "maxLength": 63},
            "labels": LABELS,
            "annotations": ANNOTATIONS,
            "finalizers": _list(STRING),
        },
        ("name", "namespace"),
    )


WRITTEN_HERE: dict[str, Schema] = {
    "Quantity": {"type": "string", "pattern": rf"^(0|[1-9][0-9]*)(m|k|[MGTPE]|[KMGTPE]i|e-?[1-9][0-9]*)?{END}"},
    "IntOrString": {"type": ["integer", "string"]},
    "ObjectMeta": _closed(
        {"name": STRING, "namespace": STRING, "labels": LABELS, "annotations": ANNOTATIONS, "finalizers": _list(STRING)}
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
TRUE: Schema = {"enum": [True]}
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

MIN_RESOURCES: Schema = {"type": "object", "additionalProperties": _ref("Quantity")}
TOPOLOGY_KEYS = _list(_closed({"topologyKey": STRING}))
SORT_RULE = _closed({"dimension": STRING, "order": STRING, "resource": STRING}, ("order", "resource"))
SCHEDULING_STRATEGY = _closed(
    {
        "coschedulingSchedulingStrategy": _closed(
            {"minMember": POSITIVE, "minResources": MIN_RESOURCES, "scheduleTimeoutSeconds": INTEGER}
        ),
        "godelSchedulingStrategy": _closed(
            {
                "affinity": _closed(
                    {
                        "podGroupAffinity": _closed(
                            {
                                "nodeSelector": _ref("NodeSelector"),
                                "preferred": TOPOLOGY_KEYS,
                                "required": TOPOLOGY_KEYS,
                                "sortRules": _list(SORT_RULE),
                            }
                        ),
                        "podGroupAntiAffinity": _closed({"preferred": TOPOLOGY_KEYS, "required": TOPOLOGY_KEYS}),
                    }
                ),
                "application": STRING,
                "minMember": INTEGER,
                "priorityClassName": STRING,
                "scheduleTimeoutSeconds": INTEGER,
            }
        ),
        "volcanoSchedulingStrategy": _closed(
            {
                "minMember": INTEGER,
                "minResources": MIN_RESOURCES,
                "minTaskMember": {"type": "object", "additionalProperties": INTEGER},
                "priorityClassName": STRING,
                "queue": STRING,
            }
        ),
    },
    maxProperties=1,
)
DISRUPTION_TOLERANCE = _closed({"maxUnavailable": _ref("IntOrString")})

# Source: AIBrix v0.5.0 config/crd/orchestration/orchestration.aibrix.ai_stormservices.yaml. Stricter than the CRD
# where its controllers are: nil replicas panic (stormservice/utils.go:59, roleset/sync.go:138), an empty selector
# matches every RoleSet of the cluster (rolesetoperations.go:35-49), a role's name is part of the pod's host name.
STORM_SERVICE: dict[str, Schema] = {
    "StormService": _closed(
        {
            "apiVersion": _const(kinds.API_VERSIONS["StormService"]),
            "kind": _const("StormService"),
            "metadata": _meta(DNS_1035, 63),
            "spec": _ref("StormServiceSpec"),
        },
        ("apiVersion", "kind", "metadata", "spec"),
    ),
    "StormServiceSpec": _closed(
        {
            "disruptionTolerance": DISRUPTION_TOLERANCE,
            "paused": BOOLEAN,
            "replicas": COUNT,
            "revisionHistoryLimit": COUNT,
            "selector": {**_ref("LabelSelector"), "minProperties": 1},
            "stateful": BOOLEAN,
            "template": _closed({"metadata": _ref("ObjectMeta"), "spec": _ref("RoleSetSpec")}, ("spec",)),
            "updateStrategy": _closed(
                {
                    "maxSurge": _ref("IntOrString"),
                    "maxUnavailable": _ref("IntOrString"),
                    "type": {"type": "string", "enum": ["RollingUpdate", "InPlaceUpdate"]},
                }
            ),
        },
        ("replicas", "selector", "template"),
    ),
    "RoleSetSpec": _closed(
        {
            "roles": _list(_ref("Role"), "name", minItems=1),
            "schedulingStrategy": SCHEDULING_STRATEGY,
            "updateStrategy": {"type": "string", "enum": ["Parallel", "Sequential", "Interleave"]},
        },
        ("roles",),
    ),
    "Role": _closed(
        {
            "disruptionTolerance": DISRUPTION_TOLERANCE,
            "name": {"type": "string", "pattern": DNS_1035, "maxLength": 63},
            "podGroupSize": {"type": "integer", "minimum": 1, "maximum": 100},
            "replicas": COUNT,
            "schedulingStrategy": SCHEDULING_STRATEGY,
            "stateful": BOOLEAN,
            "template": {**_ref("PodTemplateSpec"), "required": ["spec"]},
            "updateStrategy": _closed({"maxSurge": _ref("IntOrString"), "maxUnavailable": _ref("IntOrString")}),
            "upgradeOrder": POSITIVE,
        },
        ("name", "replicas", "template"),
    ),
}

# Source: kustomize api/types/kustomization.go; of its many fields a rendered directory needs one.
KUSTOMIZATION: dict[str, Schema] = {
    "Kustomization": _closed(
        {
            "apiVersion": _const("kustomize.config.k8s.io/v1beta1"),
            "kind": _const("Kustomization"),
            "resources": _list({"type": "string", "minLength": 1}, minItems=1, uniqueItems=True),
        },
        ("apiVersion", "kind", "resources"),
    )
}

NAME_MAX = 253
DURATION: Schema = {"type": "string", "pattern": rf"^([0-9]+(\.[0-9]+)?(ms|s|m|h))+{END}"}
FILLED_STRING: Schema = {"type": "string", "minLength": 1}


def _of_engine(kind: str, api_version: str, spec: Schema) -> Schema:
    fields = {"apiVersion": _const(api_version), "kind": _const(kind), "spec": spec}
    return _closed({**fields, "metadata": _meta(DNS_SUBDOMAIN, NAME_MAX)}, ("apiVersion", "kind", "metadata", "spec"))


# Source: argo-cd manifests/crds/{application,applicationset,appproject}-crd.yaml, of which the wiring needs a part;
# options and their values are in docs/user-guide/sync-options.md.
SYNC_POLICY = _closed(
    {
        "automated": _closed({"prune": TRUE, "selfHeal": TRUE}),
        "syncOptions": _list({"type": "string", "pattern": rf"^(ServerSideApply|FailOnSharedResource)=true{END}"}),
        "retry": _closed(
            {
                "limit": INTEGER,
                "backoff": _closed({"duration": DURATION, "factor": POSITIVE, "maxDuration": DURATION}),
            }
        ),
    }
)
# An AppProject allows no empty namespace unless it lists one (argo-cd pkg/apis/application/v1alpha1/types.go).
PLACE = ("server", "namespace")
DESTINATION = _closed({"server": FILLED_STRING, "namespace": {"type": "string", "pattern": DNS_LABEL}}, PLACE)
GLOB = rf"^[a-z0-9*]([-a-z0-9*]*[a-z0-9*])?{END}"
ALLOWED_DESTINATION = _closed({"server": FILLED_STRING, "namespace": {"type": "string", "pattern": GLOB}}, PLACE)
TEMPLATED_DESTINATION = _closed({"server": FILLED_STRING, "namespace": FILLED_STRING}, PLACE)


def _application_spec(destination: Schema) -> Schema:
    """What an Application says, or the template of one, in which words stand for what its generator finds."""
    source = {"repoURL": FILLED_STRING, "targetRevision": FILLED_STRING, "path": FILLED_STRING}
    return _closed(
        {
            "project": FILLED_STRING,
            "source": _closed(source, ("repoURL", "path")),
            "destination": destination,
            "syncPolicy": SYNC_POLICY,
        },
        ("project", "source", "destination"),
    )


GROUP_KIND = _closed({"group": STRING, "kind": FILLED_STRING}, ("group", "kind"))
GIT_GENERATOR = _closed(
    {
        "repoURL": FILLED_STRING,
        "revision": FILLED_STRING,
        "directories": _list(_closed({"path": FILLED_STRING, "exclude": TRUE}, ("path",)), minItems=1),
    },
    ("repoURL", "revision", "directories"),
)
TEMPLATE = _closed(
    {
        "metadata": _closed({"name": FILLED_STRING, "labels": LABELS, "annotations": ANNOTATIONS}, ("name",)),
        "spec": _application_spec(TEMPLATED_DESTINATION),
    },
    ("metadata", "spec"),
)
WIRING_OF_ARGOCD: dict[str, Schema] = {
    "AppProject": _of_engine("AppProject", kinds.ARGOCD, _closed(
        {
            "description": {"type": "string", "maxLength": 255},
            "sourceRepos": _list(FILLED_STRING, minItems=1),
            "destinations": _list(ALLOWED_DESTINATION, minItems=1),
            "namespaceResourceWhitelist": _list(GROUP_KIND, minItems=1),
        },
    )),
    "Application": _of_engine("Application", kinds.ARGOCD, _application_spec(DESTINATION)),
    "ApplicationSet": _of_engine("ApplicationSet", kinds.ARGOCD, _closed(
        {
            "goTemplate": TRUE,
            "goTemplateOptions": _list(_const("missingkey=error")),
            "generators": _list(_closed({"git": GIT_GENERATOR}, ("git",)), minItems=1),
            "syncPolicy": _closed({"preserveResourcesOnDeletion": TRUE}),
            "preservedFields": _closed({"annotations": _list(FILLED_STRING, minItems=1)}),
            "template": TEMPLATE,
        },
        ("generators", "template"),
    )),
}  # fmt: skip

# Source: fluxcd source-controller config/crd/bases/source.toolkit.fluxcd.io_gitrepositories.yaml and
# kustomize-controller config/crd/bases/kustomize.toolkit.fluxcd.io_kustomizations.yaml, in part.
LOCAL_NAME = _closed({"name": FILLED_STRING}, ("name",))
HEALTH_CHECK = {"apiVersion": FILLED_STRING, "kind": FILLED_STRING}
WIRING_OF_FLUX: dict[str, Schema] = {
    "GitRepository": _of_engine("GitRepository", kinds.FLUX_SOURCE, _closed(
        {
            "interval": DURATION,
            "url": {"type": "string", "pattern": "^(http|https|ssh)://"},
            "ref": _closed({"branch": FILLED_STRING}),
            "secretRef": LOCAL_NAME,
        },
        ("interval", "url"),
    )),
    "Kustomization": _of_engine("Kustomization", kinds.FLUX_KUSTOMIZE, _closed(
        {
            "interval": DURATION,
            "retryInterval": DURATION,
            "timeout": DURATION,
            "path": {"type": "string", "pattern": "^\\./"},
            "prune": BOOLEAN,
            "serviceAccountName": {"type": "string"},
            "deletionPolicy": {"type": "string", "enum": ["MirrorPrune", "Delete", "WaitForTermination", "Orphan"]},
            "dependsOn": _list(LOCAL_NAME),
            "sourceRef": _closed({"kind": _const("GitRepository"), "name": FILLED_STRING}, ("kind", "name")),
            "healthChecks": _list(
                _closed({**HEALTH_CHECK, "name": FILLED_STRING, "namespace": FILLED_STRING}, ("kind", "name"))
            ),
            "healthCheckExprs": _list(
                _closed(
                    {**HEALTH_CHECK, "current": FILLED_STRING, "failed": FILLED_STRING, "inProgress": FILLED_STRING},
                    ("apiVersion", "kind", "current"),
                )
            ),
        },
        ("interval", "prune", "sourceRef"),
    )),
}  # fmt: skip


def _definitions() -> dict[str, Schema]:
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
        return _ref(node["$ref"].rsplit(".", 1)[1])
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
        schema = _closed({key: _strict(value) for key, value in node.get("properties", {}).items()})
        if node.get("required"):
            schema["required"] = sorted(node["required"])
    return schema


def _kubernetes(name: str, carried: Mapping[str, Schema]) -> Schema:
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


def _referenced(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        if isinstance(node.get("$ref"), str):
            yield node["$ref"].rsplit("/", 1)[1]
        for value in node.values():
            yield from _referenced(value)


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


def _without_zeros(definitions: Mapping[str, Schema]) -> dict[str, Schema]:
    """The definitions for an object that Go structs write back."""
    result: dict[str, Schema] = _filled(definitions)
    for place, more in DROPPED_IF_ZERO.items():
        name, field = place.split(".")
        result[name]["properties"][field] |= more
    for name, fields in FILLED_IN.items():
        result[name]["required"] = sorted({*result[name].get("required", ()), *fields})
    return result


def _document(root: str, own: Mapping[str, Schema]) -> Schema:
    """The schema of one kind with every definition that it reaches."""
    carried = _definitions()
    found: dict[str, Schema] = {}
    waiting = [root]
    while waiting:
        name = waiting.pop()
        if name not in found:
            found[name] = own[name] if name in own else _kubernetes(name, carried)
            waiting += _referenced(found[name])
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "$ref": f"#/$defs/{root}", "$defs": found}


def _object(name: str, name_pattern: str, name_max: int) -> dict[str, Schema]:
    schema = _kubernetes(name, _definitions())
    schema["properties"]["metadata"] = _meta(name_pattern, name_max)
    return {name: schema}


def _text(document: Schema) -> str:
    """JSON with one definition per line: small, and a change shows where it is."""
    definitions = sorted(document["$defs"].items())
    lines = ",\n".join(f'"{name}": {json.dumps(schema, sort_keys=True)}' for name, schema in definitions)
    return f'{{"$schema": "{document["$schema"]}",\n"$ref": "{document["$ref"]}",\n"$defs": {{\n{lines}\n}}}}\n'


def generated() -> dict[str, str]:
    """The text of every schema file by its name, the same in every run."""
    storm_service = _document("StormService", STORM_SERVICE)
    documents = {
        "stormservice.json": {**storm_service, "$defs": _without_zeros(storm_service["$defs"])},
        "service.json": _document("Service", _object("Service", DNS_1035, 63)),
        "configmap.json": _document("ConfigMap", _object("ConfigMap", DNS_SUBDOMAIN, 253)),
        **{
            f"{kind.lower()}.json": _document(kind, _object(kind, DNS_SUBDOMAIN, 253))
            for kind in ("PodDisruptionBudget", "NetworkPolicy")
        },
        "kustomization.json": _document("Kustomization", KUSTOMIZATION),
        **{f"argocd-{kind.lower()}.json": _document(kind, WIRING_OF_ARGOCD) for kind in WIRING_OF_ARGOCD},
        **{f"flux-{kind.lower()}.json": _document(kind, WIRING_OF_FLUX) for kind in WIRING_OF_FLUX},
    }
    return {name: _text(document) for name, document in documents.items()}


if __name__ == "__main__":
    for name, text in generated().items():
        (HERE / name).write_text(text, encoding="utf-8")
