"""Every field of an app's spec with some values to try: what the origins are held against knows no pass."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from copy import deepcopy
from typing import Any

from stormc.finding import Path
from stormc.model import schema

GONE = object()
"""Stands for the removal of a field."""

TEXTS: dict[str, list[Any]] = {
    "name": ["app", "other"],
    "namespace": ["one", "two"],
    "securityContext": [
        {"seccompProfile": {"type": "RuntimeDefault"}},
        {"capabilities": {"drop": ["ALL"], "add": ["DAC_OVERRIDE"]}},
    ],
    "image": ["engine:v0.23.0", "engine:v0.11.0"],
    "version": ["0.11", "0.23"],
    "hardware": ["atlas-900-a3-superpod", "a200i-a2-box", "atlas-950-superpod"],
    "priorityClassName": ["low", "high"],
    "queue": ["q1", "q2"],
    "interface": ["bond0", "eth1"],
    "connector": ["MooncakeConnectorV1", "MooncakeLayerwiseConnector", "MultiConnector"],
    "cpu": ["1", 2],
    "memory": ["1Gi", "2Gi"],
    "shmSize": ["1Gi", "2Gi"],
    "hostPath": ["/data/a", "/data/b"],
    "persistentVolumeClaim": ["claim-a", "claim-b"],
    "path": ["/mnt/models/a", "/srv/b"],
    "command": ["a", "b"],
    "extra": [{"use_ascend_direct": True}, {"connectors": [{"kv_connector": "MooncakeLayerwiseConnector"}]}],
    "pool": [{"connector": "AscendStoreConnector"}, {"connector": "Other", "extra": {"a": 1}}],
}
_PASTED = {"kv_connector": "MooncakeConnectorV1", "kv_port": "30500", "kv_connector_extra_config": {}}
FLAGS: dict[str, list[Any]] = {
    "quantization": ["ascend", None], "seed": [1024, 7, None], "port": [8080, 1], "host": ["::", None],
    "kv-transfer-config": [_PASTED, {"kv_connector": "MooncakeLayerwiseConnector"}, None],
    "tensor-parallel-size": [3], "max-num-seqs": [16, 4], "pipeline-parallel-size": [1, 2],
    "data-parallel-rpc-port": [1, 2], "enable-expert-parallel": [True, False], "enforce-eager": [True, False],
    "max_model_len": [1, 2], "additional-config.a": [1, 2], "cudagraph-capture-sizes": ["1 2", [4, 8], None],
}  # fmt: skip
VARIABLES: dict[str, list[Any]] = {
    "MINE": ["a", "b", ""], "HCCL_IF_IP": ["a", None], "MODEL_NAME": ["a", "b"], "GLOO_SOCKET_IFNAME": ["a", None],
    "LD_LIBRARY_PATH": [{"prepend": "/a"}, {"prepend": "/b"}, "c"],
    "TOKEN": [{"secretKeyRef": {"name": "s", "key": "k"}}, {"fieldRef": {"fieldPath": "status.hostIP"}}],
}  # fmt: skip
MAPS: dict[str, dict[str, list[Any]]] = {
    "labels": {"team": ["a", "b"]},
    "annotations": {"note": ["a", "b"]},
    "nodeSelector": {"zone": ["a", "b"]},
    "env": VARIABLES,
    "engineArgs": FLAGS,
    "args": FLAGS,
}
_EXISTS = {"key": "npu", "operator": "Exists"}
LISTS: dict[str, list[Any]] = {
    "imagePullSecrets": [["a"], ["a", "b"]],
    "tolerations": [[_EXISTS], [_EXISTS, {"key": "x", "operator": "Exists"}], [{**_EXISTS, "tolerationSeconds": 5}]],
    "command": [["run"], ["run", "fast"]],
    "volumes": [
        [{"mountPath": "/extra", "hostPath": "/data/a"}],
        [{"mountPath": "/extra", "hostPath": "/data/b"}, {"mountPath": "/more", "emptyDir": {}, "readOnly": True}],
    ],
}


def override(target: str, patch: Mapping[str, Any]) -> dict[str, Any]:
    """An override with an owner and a reason."""
    return {"target": target, "patch": patch, "reason": "to see", "owner": "me"}


def in_prefill(pod: Mapping[str, Any]) -> dict[str, Any]:
    """A patch of prefill's pods."""
    role = {"name": "prefill", "template": {"spec": pod}}
    return {"spec": {"template": {"spec": {"roles": [role]}}}}


def in_container(fields: Mapping[str, Any]) -> dict[str, Any]:
    """A patch of prefill's engine container."""
    return in_prefill({"containers": [{"name": "prefill", **fields}]})


OVERRIDES: list[list[dict[str, Any]]] = [
    [override("Service", {"spec": {"type": "NodePort"}})],
    [override("StormService", in_container({"image": "patched:1", "args": ["--", "sleep", "--seed=9", "--seed=8"]}))],
    [override("StormService", in_container({"env": [{"name": "MINE", "value": "x"}, {"name": "OWN", "value": "y"}]}))],
    [override("StormService", in_container({"resources": {"limits": {"cpu": None, "memory": "9Gi"}}}))],
    [override("StormService", in_prefill({"containers": [{"name": "side", "image": "side:1"}]}))],
    [override("StormService", in_prefill({"volumes": None})), override("Service", {"spec": {"ipFamilies": ["IPv4"]}})],
    [override("StormService", in_prefill({"tolerations": [{"key": "x", "operator": "Exists"}], "hostNetwork": True}))],
    [
        override(
            "StormService",
            {
                "spec": {
                    "template": {
                        "spec": {
                            "roles": [
                                {
                                    "name": role,
                                    "template": {
                                        "spec": {
                                            "containers": [{"name": role, "securityContext": {"privileged": True}}]
                                        }
                                    },
                                }
                                for role in ("prefill", "decode")
                            ]
                        }
                    }
                }
            },
        )
    ],
    [override("ConfigMap", {"data": {"config.json": "{}", "extra": "text"}})],
]


def _values(name: str, rules: Mapping[str, Any]) -> list[Any]:
    if rules.get("allowed"):
        return list(rules["allowed"])
    kinds = rules["type"] if isinstance(rules["type"], list) else [rules["type"]]
    if "boolean" in kinds:
        return [True, False]
    if kinds == ["integer"]:
        low = int(rules["min"])
        if name == "port":
            return [8080, 9000, 9001]
        return [low, low + 1, max(low, 16)]
    if kinds == ["list"]:
        return LISTS[name]
    pattern = re.compile(rules.get("regex", ".*"))
    return TEXTS.get(name) or [text for text in CANDIDATES if pattern.fullmatch(text)]


CANDIDATES = ["a", "b", "/a", "/b", "https://a.example", "https://b.example", "1", "2"]
"""Texts for a field that the table above does not know."""


def _fields(table: Mapping[str, Any], prefix: Path) -> Iterator[tuple[Path, list[Any]]]:
    for name, rules in table.items():
        path = (*prefix, name)
        if path[-1] in ("apiVersion", "kind", "overrides") or (not prefix and name in schema.SECTIONS):
            continue
        if name in MAPS:
            yield from (((*path, key), values) for key, values in MAPS[name].items())
        elif "schema" in rules and rules["type"] == "dict" and name not in TEXTS:
            inner = rules["schema"]
            if any(field.get("required") for field in inner.values()):
                yield path, [{key: _values(key, field)[i] for key, field in inner.items()} for i in (0, 1)]
            if any("excludes" in field for field in inner.values()):
                yield path, [{key: _values(key, field)[0]} for key, field in inner.items()]
            yield from _fields(inner, path)
        else:
            yield path, TEXTS["name"] if path == ("model", "name") else _values(name, rules)


FIELDS: dict[Path, list[Any]] = {
    **dict(_fields(schema.APP, ())),
    **{path: values for section, table in schema.SECTIONS.items() for path, values in _fields(table, (section,))},
    ("overrides",): OVERRIDES,
}
"""Every field of `schema.py` and some values that it may have."""


def values_of(field: Path) -> list[Any]:
    """Values of a field; a key of a map need not be among those that are listed."""
    if field[0] == "overrides" and len(field) > 1:
        return ["ConfigMap", "Service"] if field[-1] == "target" else ["x", "y"]
    return FIELDS.get(field) or ["10", "x", None]


def units(name: Path) -> list[Path]:
    """The fields that have values of their own at, above or below a path."""
    fields = [field for field in FIELDS if related(field, name)] or [name]
    return [*fields, name] if name[:1] == ("overrides",) and len(name) > 1 else fields


def related(one: Path, other: Path) -> bool:
    """Whether one path is the other, or leads to it."""
    shorter = min(len(one), len(other))
    return spelt(one[:shorter]) == spelt(other[:shorter])


def spelt(path: Path) -> Path:
    """A path with flags as vLLM reads them: `max_model_len` is max-model-len, `a.b` a part of a."""
    if path[1:2] not in (("engineArgs",), ("args",)) or len(path) < 3:
        return path
    return (*path[:2], str(path[2]).split(".")[0].replace("_", "-"))


def changed(spec: Mapping[str, Any], path: Path, value: Any) -> dict[str, Any]:
    """The spec with another value of a field, or without it."""
    if path[0] == "overrides" and len(path) > 1:
        return _patched(spec, path, value)
    key, rest = str(path[0]), path[1:]
    fields = dict(spec)
    if rest:
        inner = fields.get(key)
        fields[key] = changed(inner if isinstance(inner, dict) else {}, rest, value)
        if not fields[key] and value is GONE:
            del fields[key]
    elif value is GONE:
        fields.pop(key, None)
    else:
        fields[key] = value
    return fields


def _patched(spec: Mapping[str, Any], path: Path, value: Any) -> dict[str, Any]:
    """The spec with another value in one of its overrides, where there is such a place."""
    copy: dict[str, Any] = deepcopy(dict(spec))
    node: Any = copy
    for step in path[:-1]:
        if step not in node and not (isinstance(node, list) and isinstance(step, int) and step < len(node)):
            return copy
        node = node[step]
    if value is GONE:
        node.pop(path[-1], None)
    else:
        node[path[-1]] = value
    return copy
