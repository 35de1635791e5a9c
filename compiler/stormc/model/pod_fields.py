"""The fields by which a role says what its pods are like: image, environment, volumes, placement."""

from __future__ import annotations

from stormc.facts import limits
from stormc.model import quantity
from stormc.model.forms import (
    ABSOLUTE_PATH,
    DNS_SUBDOMAIN,
    ENV_NAME,
    FLAG,
    IMAGE,
    LABEL_KEY,
    LABEL_VALUE,
    Schema,
    field,
    whole,
)

LABELS = {
    "keysrules": {"type": "string", "regex": LABEL_KEY},
    "valuesrules": {"type": "string", "regex": LABEL_VALUE},
}
_KEY_OF = {
    "name": field("string", "Name of the object.", regex=DNS_SUBDOMAIN, required=True),
    "key": field("string", "Key in the object.", required=True, minlength=1),
    "optional": field("boolean", "Start without it where it is missing."),
}
REFERENCES: Schema = {
    "secretKeyRef": field("dict", "A key of a Secret.", schema=_KEY_OF),
    "configMapKeyRef": field("dict", "A key of a ConfigMap.", schema=_KEY_OF),
    "fieldRef": field("dict", "A field of the pod.", schema={
        "fieldPath": field("string", "Path of the field.", required=True, minlength=1),
        "apiVersion": field("string", "Version of the pod's schema.", allowed=["v1"]),
    }),
    "resourceFieldRef": field("dict", "A limit or request of a container.", schema={
        "resource": field("string", "Resource, such as limits.cpu.", required=True, minlength=1),
        "containerName": field("string", "Container; default: this one.", minlength=1),
        "divisor": field(["string", "integer"], "Unit of the value.", regex=quantity.PATTERN),
    }),
    "prepend": field("string", "Text that the launcher puts before the image's own value, with a colon.", minlength=1),
}  # fmt: skip
"""What a variable of the environment may be besides a text, as Kubernetes' valueFrom has it, and prepend."""
ENVIRONMENT = {
    "keysrules": {"type": "string", "regex": ENV_NAME},
    "valuesrules": {
        "type": ["string", "integer", "dict"],
        "schema": REFERENCES,
        "one_of": list(REFERENCES),
        "nullable": True,
    },
}
_ENV = field(
    "dict", "Environment of the container; a value here replaces stormc's of the same name, null removes it.",
    default={}, **ENVIRONMENT,
)  # fmt: skip
FLAGS = {
    "keysrules": {"type": "string", "regex": FLAG},
    "valuesrules": {"type": ["string", "integer", "float", "boolean", "dict", "list"], "nullable": True},
}
_SOURCES: Schema = {
    "hostPath": field(["string", "dict"], "Directory or file on every node.", regex=ABSOLUTE_PATH, schema={
        "path": field("string", "Directory or file on every node.", required=True, regex=ABSOLUTE_PATH),
        "type": field("string", "What must lie there.", allowed=[
            "Directory", "DirectoryOrCreate", "File", "FileOrCreate", "Socket", "CharDevice", "BlockDevice",
        ]),
    }),
    "persistentVolumeClaim": field(["string", "dict"], "Claim in the app's namespace.", regex=DNS_SUBDOMAIN, schema={
        "claimName": field("string", "Claim in the app's namespace.", required=True, regex=DNS_SUBDOMAIN),
        "readOnly": field("boolean", "Attach the claim read-only."),
    }),
    "configMap": field(["string", "dict"], "ConfigMap in the app's namespace.", regex=DNS_SUBDOMAIN),
    "secret": field(["string", "dict"], "Secret in the app's namespace.", regex=DNS_SUBDOMAIN),
    "emptyDir": field("dict", "A directory that lives as long as the pod.", schema={
        "medium": field("string", "Memory, or the node's disk.", allowed=["Memory"]),
        "sizeLimit": field(["string", "integer"], "Size limit.", regex=quantity.PATTERN, min=0),
    }),
}  # fmt: skip
VOLUME_SOURCES = tuple(_SOURCES)
_VOLUMES = field(
    "list", "Further volumes: one source, and where it is mounted.",
    schema={"type": "dict", "one_of": list(_SOURCES), "schema": {
        "mountPath": field("string", "Directory or file in the container.", required=True, regex=ABSOLUTE_PATH),
        "name": field("string", "Name of the volume; default: made of mountPath.", regex=limits.NAMESPACE_PATTERN,
                       maxlength=limits.LABEL_BYTES),
        "readOnly": field("boolean", "Mount it read-only; default: as Kubernetes has it for the source."),
        "subPath": field("string", "Path inside the volume.", minlength=1),
        **_SOURCES,
    }},
)  # fmt: skip
RESOURCES = field(
    "dict", "CPU and memory of the container; requests equal limits.",
    schema={
        "cpu": field(["string", "integer"], "CPU cores.", regex=quantity.PATTERN, min=0),
        "memory": field(["string", "integer"], "Main memory.", regex=quantity.PATTERN, min=0),
    },
)  # fmt: skip
IMAGE_FIELDS: Schema = {
    "image": field("string", "Container image with a pinned tag or digest.", regex=IMAGE),
    "imagePullPolicy": field(
        "string", "When the kubelet pulls the image.", allowed=["Always", "IfNotPresent", "Never"]
    ),
}
POD_FIELDS: Schema = {
    **IMAGE_FIELDS,
    "resources": RESOURCES,
    "env": _ENV,
    "labels": field("dict", "Further labels of the role's pods.", default={}, **LABELS),
    "annotations": field(
        "dict", "Further annotations of the role's pods.", default={},
        keysrules={"type": "string", "regex": LABEL_KEY}, valuesrules={"type": "string"},
    ),
    "nodeSelector": field("dict", "Further node labels that the role's pods need.", default={}, **LABELS),
    "tolerations": field(
        "list", "Taints that the role's pods tolerate.",
        schema={"type": "dict", "schema": {
            "key": field("string", "Taint key.", regex=LABEL_KEY),
            "operator": field("string", "How the value is compared.", allowed=["Exists", "Equal"]),
            "value": field("string", "Taint value.", regex=LABEL_VALUE),
            "effect": field("string", "Taint effect.", allowed=["NoSchedule", "PreferNoSchedule", "NoExecute"]),
            "tolerationSeconds": whole("Seconds until eviction, with NoExecute.", 0, 10**9),
        }},
    ),
    "priorityClassName": field("string", "PriorityClass of the pods.", regex=DNS_SUBDOMAIN, maxlength=253),
    "volumes": _VOLUMES,
}  # fmt: skip
_SECURITY_CONTEXT = field(
    "dict", "How the engines are confined further than stormc does it. Not tested on NPUs: try it on one pod first.",
    schema={
        "seccompProfile": field("dict", "Filter of system calls.", schema={
            "type": field(
                "string", "RuntimeDefault: the container runtime's filter. Without CAP_SYS_NICE it refuses mbind and "
                "set_mempolicy, so binding memory to the NPU's NUMA node fails, and engines become slower or do not "
                "start.", required=True, allowed=["RuntimeDefault"],
            ),
        }),
        "capabilities": field("dict", "What root may do in the container.", schema={
            "drop": field(
                "list", "[ALL] instead of stormc's [NET_RAW]. Root then reads no files of other users, such as "
                "the driver's HwHiAiUser: add DAC_OVERRIDE where the engine finds no NPU.",
                schema={"type": "string", "allowed": ["ALL", "NET_RAW"]}, minlength=1,
            ),
            "add": field(
                "list", "Capabilities to keep with drop: [ALL].",
                schema={"type": "string", "allowed": sorted(limits.CAPABILITIES)},
            ),
        }),
    },
    minlength=1,
)  # fmt: skip
ENGINE_POD_FIELDS: Schema = {
    "shmSize": field(["string", "integer"], "Size limit of /dev/shm; default: 16Gi.", regex=quantity.PATTERN, min=0),
    "queue": field("string", "Volcano queue.", regex=limits.NAMESPACE_PATTERN, maxlength=limits.LABEL_BYTES),
    "hostNetwork": field("boolean", "Run the pods on the node's own network."),
    "interface": field(
        "string", "Network interface of the engines; default: eth0 of the pod's own network.", minlength=1, maxlength=15
    ),
    "securityContext": _SECURITY_CONTEXT,
}
SHARED: Schema = {
    **{key: POD_FIELDS[key] for key in ("tolerations", "priorityClassName", "volumes")}, **ENGINE_POD_FIELDS,
}  # fmt: skip
"""Fields that both engine roles may share: at the top level they hold for prefill and decode, a role's own win."""
