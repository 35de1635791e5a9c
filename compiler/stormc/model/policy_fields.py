"""The fields of a policy in a platform file."""

from __future__ import annotations

from stormc.model.forms import DATE, POLICY_RULE, Schema, field, whole

LEVELS = ("npu", "baseline", "restricted")
"""From the loosest to the strictest: npu is baseline and two host paths that are only read."""
DELEGATED = ("namespace", "defaults")
"""What platform files below may set where no policy says it; a policy, which only narrows, always."""


def _list(description: str) -> dict[str, object]:
    return field("list", description, schema={"type": "string", "minlength": 1})


POLICY: Schema = {
    "namespaces": _list("Namespaces of the apps; * stands for any characters."),
    "registries": _list("Beginnings of the names of all images."),
    "images": field("string", "How images are pinned.", allowed=["tag", "digest"]),
    "podSecurity": field("string", "Level of pod security, on finished manifests.", allowed=list(LEVELS)),
    "seccomp": field("string", "Whether all containers have the container runtime's filter.", allowed=["required"]),
    "dropAllCapabilities": field("string", "Whether all containers drop capability ALL.", allowed=["required"]),
    "hostPaths": _list("Host paths that pods may mount to read; what lies below them too."),
    "serviceAccounts": _list("Service accounts that pods may use."),
    "secrets": _list("Secrets that pods may read; * stands for any characters."),
    "volumes": _list("Kinds of volumes that overrides may add, such as nfs; claims and ConfigMaps of others, too."),
    "metadata": _list("Keys of labels and annotations that specs may write; * stands for any characters."),
    "queues": _list("Volcano queues."),
    "priorityClasses": _list("PriorityClasses."),
    "tolerations": _list("Keys of taints that pods may tolerate; * stands for any characters."),
    "maxNpus": whole("NPUs of all apps below this directory.", 0, 10**7),
    "serviceTypes": field(
        "list", "Types of Services.",
        schema={"type": "string", "allowed": ["ClusterIP", "NodePort", "LoadBalancer"]},
    ),
    "networkPolicy": field("string", "Whether every app has its network policies.", allowed=["required"]),
    "trustRemoteCode": field("string", "Whether engines run code beside the weights.", allowed=["allow", "deny"]),
    "engine": field("dict", "Programs instead of stormc's launcher.", schema={
        "command": field("string", "engine.command", allowed=["allow", "deny"]),
        "script": field("string", "engine.script", allowed=["allow", "deny"]),
    }),
    "overrides": field("dict", "What overrides may change.", schema={
        "allow": _list("Paths that overrides may change, and no others: ** is any steps, * one."),
        "deny": _list("Paths that overrides may not change: ** is any steps, * one."),
        "approvers": _list("Who may be the owner of an override."),
        "expires": field("string", "Whether every override has a last day.", allowed=["required"]),
        "maxDays": whole("Days until an override's last day.", 1, 3650),
    }),
    "delegate": field("list", "What platform files below may set; default: namespace, defaults.", schema={
        "type": "string",
        "allowed": ["mindcluster", "aibrix", "namespace", "superPodSize", "reserveNodes", "inventory", "defaults",
                    "gitops"],
    }),
    "gitops": field("dict", "Limits of GitOps wiring.", schema={
        "destinations": _list("Namespaces to which wiring deploys; * stands for any characters."),
        "serviceAccount": field("string", "Service account of every Flux Kustomization.", minlength=1),
        "project": field("string", "AppProject of every Argo CD wiring.", minlength=1),
    }),
    "exceptions": field("list", "What is allowed all the same.", schema={"type": "dict", "schema": {
        "spec": field("string", "Path of the spec below specs/; * stands for any characters.", required=True),
        "rule": field("string", "Id of the finding.", required=True, regex=POLICY_RULE),
        "owner": field("string", "Who answers for it.", required=True, minlength=1),
        "reason": field("string", "Why.", required=True, minlength=1),
        "expires": field("string", "Last day, YYYY-MM-DD.", regex=DATE),
    }}),
}  # fmt: skip
