"""A small API server with AIBrix installed: what it makes of a file, written without looking at the compiler.

Bytes are read as YAML 1.1, as every Kubernetes client does. The types come from the OpenAPI definitions that
kubernetes-validate carries; the StormService around the pods from the CRD of AIBrix v0.5.0; the webhook writes every
StormService back through Go structs (controller-runtime v0.19.2 pkg/webhook/admission/defaulter_custom.go).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from fractions import Fraction
from functools import cache
from importlib.resources import files
from typing import Any

import yaml

POD = "io.k8s.api.core.v1.PodSpec"
META = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"
SELECTOR = "io.k8s.apimachinery.pkg.apis.meta.v1.LabelSelector"
QUANTITY = "io.k8s.apimachinery.pkg.api.resource.Quantity"
INT_OR_STRING = "io.k8s.apimachinery.pkg.util.intstr.IntOrString"
CORE = {
    "Service": "io.k8s.api.core.v1.Service",
    "ConfigMap": "io.k8s.api.core.v1.ConfigMap",
    "PodDisruptionBudget": "io.k8s.api.policy.v1.PodDisruptionBudget",
    "NetworkPolicy": "io.k8s.api.networking.v1.NetworkPolicy",
}
PYTHON = {"string": str, "integer": int, "boolean": bool, "object": dict, "array": list, "number": (int, float)}

Schema = Mapping[str, Any]


class Refused(Exception):
    """The API server answers 400 or 422."""


def _of(name: str) -> Schema:
    return {"$ref": f"#/$defs/{name}"}


def _fields(**properties: Schema) -> Schema:
    return {"type": "object", "properties": properties}


def _typed(kind: str) -> Schema:
    return {"type": kind}


_STRINGS: Schema = {"type": "object", "additionalProperties": {"type": "string"}}
_TEMPLATE_META = _fields(  # the CRD keeps these five
    name=_typed("string"), namespace=_typed("string"), labels=_STRINGS, annotations=_STRINGS,
    finalizers={"type": "array", "items": _typed("string")},
)  # fmt: skip
_UPDATE = _fields(maxUnavailable=_of(INT_OR_STRING), maxSurge=_of(INT_OR_STRING), type=_typed("string"))
_ROLE = _fields(
    name=_typed("string"), replicas=_typed("integer"), podGroupSize=_typed("integer"), upgradeOrder=_typed("integer"),
    stateful=_typed("boolean"), updateStrategy=_UPDATE, disruptionTolerance=_UPDATE,
    template=_fields(metadata=_TEMPLATE_META, spec=_of(POD)),
)  # fmt: skip
STORM_SERVICE = _fields(
    apiVersion=_typed("string"), kind=_typed("string"), metadata=_of(META), status=_typed("object"),
    spec=_fields(
        replicas=_typed("integer"), stateful=_typed("boolean"), paused=_typed("boolean"), updateStrategy=_UPDATE,
        revisionHistoryLimit=_typed("integer"), disruptionTolerance=_UPDATE, selector=_of(SELECTOR),
        template=_fields(
            metadata=_TEMPLATE_META,
            spec=_fields(updateStrategy=_typed("string"), roles={"type": "array", "items": _ROLE}),
        ),
    ),
)  # fmt: skip

KEPT_ZEROS = frozenset({
    # Pointers: nil and zero are two things.
    "replicas", "podGroupSize", "upgradeOrder", "revisionHistoryLimit", "terminationGracePeriodSeconds",
    "activeDeadlineSeconds", "tolerationSeconds", "defaultMode", "mode", "runAsUser", "runAsGroup", "runAsNonRoot",
    "privileged", "readOnlyRootFilesystem", "allowPrivilegeEscalation", "optional", "enableServiceLinks",
    "automountServiceAccountToken", "shareProcessNamespace", "maxUnavailable", "maxSurge", "minAvailable", "sizeLimit",
    "securityContext", "emptyDir", "configMap", "secret", "downwardAPI", "valueFrom", "podSelector",
    "namespaceSelector",
    # Fields without omitempty.
    "name", "containerPort", "mountPath", "path", "key", "fieldPath", "claimName", "port", "containers",
})  # fmt: skip


@cache
def _definitions() -> Mapping[str, Schema]:
    source = files("kubernetes_validate") / "kubernetes-json-schema" / "v1.31.0-local" / "_definitions.json"
    found: Mapping[str, Schema] = json.loads(source.read_text(encoding="utf-8"))["$defs"]
    return found


def stored(text: str | bytes) -> Any:
    """What `kubectl get` shows after this file was applied. Raises Refused."""
    manifest = yaml.safe_load(text)
    if manifest["kind"] != "StormService":
        return _walk(_with_defaults(manifest), _of(CORE[manifest["kind"]]), "", _go)
    pruned = _walk(manifest, STORM_SERVICE, "", lambda value, name: value)
    return _with_crd_defaults(_with_go_empties(_walk(_with_crd_defaults(pruned), STORM_SERVICE, "", _go)))


def _walk(value: Any, schema: Schema, name: str, keep: Any) -> Any:
    """The value without fields that its type does not have; `keep` says what becomes of each field that it has."""
    name_of_type = schema.get("$ref", "").removeprefix("#/$defs/")
    if name_of_type == QUANTITY:
        return _quantity(value)
    if name_of_type == INT_OR_STRING:
        return _of_type(value, (int, str), name)
    if name_of_type:
        return _walk(value, _definitions()[name_of_type], name, keep)
    kind = schema["type"] if isinstance(schema["type"], str) else schema["type"][0]
    _of_type(value, PYTHON[kind], name)
    if kind == "array":
        return [_walk(item, schema["items"], name, keep) for item in value]
    if kind != "object":
        return value
    if isinstance(schema.get("additionalProperties"), dict):
        return {key: _walk(item, schema["additionalProperties"], key, keep) for key, item in value.items()}
    known = schema.get("properties")
    if known is None:
        return value
    walked = {key: _walk(item, known[key], key, keep) for key, item in value.items() if key in known}
    return {key: item for key, item in walked.items() if keep(item, key) is not None}


def _go(value: Any, name: str) -> Any:
    """None for what encoding/json leaves out of a struct with omitempty."""
    zero = value in (False, 0, "", [], {}) and not (isinstance(value, dict) and name in KEPT_ZEROS)
    return None if zero and name not in KEPT_ZEROS else value


def _of_type(value: Any, wanted: Any, name: str) -> Any:
    if not isinstance(value, wanted) or (isinstance(value, bool) and wanted is not bool):
        raise Refused(f"{name}: {value!r}")
    return value


def _with_crd_defaults(service: Any) -> Any:
    """What the CRD's `default:` entries fill in."""
    copy = json.loads(json.dumps(service))
    if "updateStrategy" in copy["spec"]:
        copy["spec"]["updateStrategy"].setdefault("type", "RollingUpdate")
    copy["spec"]["template"]["spec"].setdefault("updateStrategy", "Sequential")
    for role in copy["spec"]["template"]["spec"]["roles"]:
        pod = role["template"]["spec"]
        for container in [*pod.get("containers", ()), *pod.get("initContainers", ())]:
            for port in container.get("ports", ()):
                port.setdefault("protocol", "TCP")
            for entry in container.get("env", ()):
                for source in ("configMapKeyRef", "secretKeyRef"):
                    if source in entry.get("valueFrom", {}):
                        entry["valueFrom"][source].setdefault("name", "")
        for volume in pod.get("volumes", ()):
            if "configMap" in volume:
                volume["configMap"].setdefault("name", "")
        for secret in pod.get("imagePullSecrets", ()):
            secret.setdefault("name", "")
    return copy


def _with_go_empties(service: Any) -> Any:
    """Structs without pointer, which Go writes even when they are empty."""
    copy = json.loads(json.dumps(service))
    copy["spec"].setdefault("updateStrategy", {})
    return copy


def _with_defaults(manifest: Any) -> Any:
    """Defaults of the core kinds (kubernetes pkg/apis/core/v1/defaults.go, networking/v1/defaults.go)."""
    copy = json.loads(json.dumps(manifest))
    spec = copy.get("spec", {})
    if copy["kind"] == "Service":
        for field, value in (("type", "ClusterIP"), ("sessionAffinity", "None"), ("internalTrafficPolicy", "Cluster")):
            spec.setdefault(field, value)
        for port in spec["ports"]:
            port.setdefault("protocol", "TCP")
            port.setdefault("targetPort", port["port"])
    if copy["kind"] == "NetworkPolicy":
        spec.setdefault("policyTypes", ["Ingress", *(["Egress"] if "egress" in spec else [])])
        for rule in [*spec.get("ingress", ()), *spec.get("egress", ())]:
            for port in rule.get("ports", ()):
                port.setdefault("protocol", "TCP")
    return copy


_SUFFIXES = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
_BINARY = {"Ki": 1, "Mi": 2, "Gi": 3, "Ti": 4, "Pi": 5, "Ei": 6}


def _quantity(value: Any) -> str:
    """The string that resource.Quantity marshals to (apimachinery pkg/api/resource/quantity.go)."""
    match = re.fullmatch(r"([0-9.]+)([A-Za-z]{0,2})", str(value))
    if match is None or match[2] not in {**_SUFFIXES, **_BINARY}:
        raise Refused(f"quantity {value!r}")
    number, suffix = Fraction(match[1]), match[2]
    if suffix in _BINARY:
        number *= 1024 ** _BINARY[suffix]
        powers = [power for power in range(7) if number % 1024**power == 0]
        if number >= 1024 and powers:
            return f"{number / 1024 ** powers[-1]}{['', *_BINARY][powers[-1]]}"
        suffix = ""
    number *= Fraction(10) ** _SUFFIXES[suffix]
    best = max(exponent for exponent in _SUFFIXES.values() if (number / Fraction(10) ** exponent).denominator == 1)
    name = next(name for name, exponent in _SUFFIXES.items() if exponent == best)
    return f"{number / Fraction(10) ** best}{name}"


def drift(text: str | bytes) -> list[str]:
    """What an engine would find different between this file and the cluster, for ever; the places, in words.

    Fields that only the cluster has are no difference to server-side apply. Inside a StormService they are one all the
    same where the CRD fills them in, because its roles are one value: who applies them owns every field of them.
    """
    git = yaml.safe_load(text)
    try:
        live = stored(text)
    except Refused as refused:
        return [f"refused: {refused}"]
    found = list(_missing(git, live, ""))
    if git["kind"] == "StormService":
        found += [f"{place} is filled in" for place in _missing(_with_crd_defaults(git), git, "")]
    return found


def _missing(git: Any, live: Any, place: str) -> Iterator[str]:
    if isinstance(git, dict) and isinstance(live, dict):
        for key, value in git.items():
            if key in live:
                yield from _missing(value, live[key], f"{place}.{key}")
            else:
                yield f"{place}.{key}"
    elif isinstance(git, list) and isinstance(live, list) and len(git) == len(live):
        for index, (one, other) in enumerate(zip(git, live, strict=True)):
            yield from _missing(one, other, f"{place}[{index}]")
    elif type(git) is not type(live) or git != live:
        yield f"{place}: {git!r} becomes {live!r}"
