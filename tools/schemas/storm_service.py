"""The schema of a StormService, from its CRD, and of a rendered directory's kustomization."""

from __future__ import annotations

from stormc.facts import kinds
from tools.schemas.parts import (
    BOOLEAN,
    COUNT,
    DNS_1035,
    INTEGER,
    POSITIVE,
    STRING,
    Schema,
    closed,
    const,
    list_of,
    metadata,
    ref,
)

MIN_RESOURCES: Schema = {"type": "object", "additionalProperties": ref("Quantity")}
TOPOLOGY_KEYS = list_of(closed({"topologyKey": STRING}))
SORT_RULE = closed({"dimension": STRING, "order": STRING, "resource": STRING}, ("order", "resource"))
SCHEDULING_STRATEGY = closed(
    {
        "coschedulingSchedulingStrategy": closed(
            {"minMember": POSITIVE, "minResources": MIN_RESOURCES, "scheduleTimeoutSeconds": INTEGER}
        ),
        "godelSchedulingStrategy": closed(
            {
                "affinity": closed(
                    {
                        "podGroupAffinity": closed(
                            {
                                "nodeSelector": ref("NodeSelector"),
                                "preferred": TOPOLOGY_KEYS,
                                "required": TOPOLOGY_KEYS,
                                "sortRules": list_of(SORT_RULE),
                            }
                        ),
                        "podGroupAntiAffinity": closed({"preferred": TOPOLOGY_KEYS, "required": TOPOLOGY_KEYS}),
                    }
                ),
                "application": STRING,
                "minMember": INTEGER,
                "priorityClassName": STRING,
                "scheduleTimeoutSeconds": INTEGER,
            }
        ),
        "volcanoSchedulingStrategy": closed(
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
DISRUPTION_TOLERANCE = closed({"maxUnavailable": ref("IntOrString")})

# Source: AIBrix v0.5.0 config/crd/orchestration/orchestration.aibrix.ai_stormservices.yaml. Stricter than the CRD
# where its controllers are: nil replicas panic (stormservice/utils.go:59, roleset/sync.go:138), an empty selector
# matches every RoleSet of the cluster (rolesetoperations.go:35-49), a role's name is part of the pod's host name.
STORM_SERVICE: dict[str, Schema] = {
    "StormService": closed(
        {
            "apiVersion": const(kinds.API_VERSIONS["StormService"]),
            "kind": const("StormService"),
            "metadata": metadata(DNS_1035, 63),
            "spec": ref("StormServiceSpec"),
        },
        ("apiVersion", "kind", "metadata", "spec"),
    ),
    "StormServiceSpec": closed(
        {
            "disruptionTolerance": DISRUPTION_TOLERANCE,
            "paused": BOOLEAN,
            "replicas": COUNT,
            "revisionHistoryLimit": COUNT,
            "selector": {**ref("LabelSelector"), "minProperties": 1},
            "stateful": BOOLEAN,
            "template": closed({"metadata": ref("ObjectMeta"), "spec": ref("RoleSetSpec")}, ("spec",)),
            "updateStrategy": closed(
                {
                    "maxSurge": ref("IntOrString"),
                    "maxUnavailable": ref("IntOrString"),
                    "type": {"type": "string", "enum": ["RollingUpdate", "InPlaceUpdate"]},
                }
            ),
        },
        ("replicas", "selector", "template"),
    ),
    "RoleSetSpec": closed(
        {
            "roles": list_of(ref("Role"), "name", minItems=1),
            "schedulingStrategy": SCHEDULING_STRATEGY,
            "updateStrategy": {"type": "string", "enum": ["Parallel", "Sequential", "Interleave"]},
        },
        ("roles",),
    ),
    "Role": closed(
        {
            "disruptionTolerance": DISRUPTION_TOLERANCE,
            "name": {"type": "string", "pattern": DNS_1035, "maxLength": 63},
            "podGroupSize": {"type": "integer", "minimum": 1, "maximum": 100},
            "replicas": COUNT,
            "schedulingStrategy": SCHEDULING_STRATEGY,
            "stateful": BOOLEAN,
            "template": {**ref("PodTemplateSpec"), "required": ["spec"]},
            "updateStrategy": closed({"maxSurge": ref("IntOrString"), "maxUnavailable": ref("IntOrString")}),
            "upgradeOrder": POSITIVE,
        },
        ("name", "replicas", "template"),
    ),
}

# Source: kustomize api/types/kustomization.go; of its many fields a rendered directory needs one.
KUSTOMIZATION: dict[str, Schema] = {
    "Kustomization": closed(
        {
            "apiVersion": const("kustomize.config.k8s.io/v1beta1"),
            "kind": const("Kustomization"),
            "resources": list_of({"type": "string", "minLength": 1}, minItems=1, uniqueItems=True),
        },
        ("apiVersion", "kind", "resources"),
    )
}
