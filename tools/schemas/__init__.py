"""The committed schemas, made anew: what the API server accepts of our kinds, and nothing that it would drop.

Development only: `python -m tools.schemas` writes the files, a test compares them. The fields of the
Kubernetes kinds come from kubernetes-validate, which carries the API's own definitions; those of StormService are a
short table, read from its CRD. Both are made stricter than their source: unknown fields, null, numbers with a
fraction and fields that only a server writes have no place in a rendered manifest. No prose is carried over.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from tools.schemas.kubernetes import kubernetes_definitions, kubernetes_schema, without_zeros
from tools.schemas.parts import DNS_1035, DNS_SUBDOMAIN, Schema, metadata
from tools.schemas.storm_service import KUSTOMIZATION, STORM_SERVICE
from tools.schemas.wiring import WIRING_OF_ARGOCD, WIRING_OF_FLUX

HERE = Path(__file__).parents[2] / "compiler" / "stormc" / "emit" / "schemas"


def _referenced(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        if isinstance(node.get("$ref"), str):
            yield node["$ref"].rsplit("/", 1)[1]
        for value in node.values():
            yield from _referenced(value)


def _document(root: str, own: Mapping[str, Schema]) -> Schema:
    """The schema of one kind with every definition that it reaches."""
    carried = kubernetes_definitions()
    definitions: dict[str, Schema] = {}
    pending = [root]
    while pending:
        name = pending.pop()
        if name not in definitions:
            definitions[name] = own[name] if name in own else kubernetes_schema(name, carried)
            pending += _referenced(definitions[name])
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "$ref": f"#/$defs/{root}", "$defs": definitions}


def _object(name: str, name_pattern: str, name_max: int) -> dict[str, Schema]:
    schema = kubernetes_schema(name, kubernetes_definitions())
    schema["properties"]["metadata"] = metadata(name_pattern, name_max)
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
        "stormservice.json": {**storm_service, "$defs": without_zeros(storm_service["$defs"])},
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
