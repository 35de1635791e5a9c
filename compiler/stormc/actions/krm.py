"""KRM: a ResourceList with specs becomes the same list with their manifests, as a function of kustomize and kpt.

The protocol (kustomize cmd/config/docs/api-conventions/functions-spec.md): `items` are the objects that
the function works on, `functionConfig` its settings, `results` messages for people.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from stormc.actions.streaming import stream_apps
from stormc.facts.limits import SPEC_VERSION
from stormc.finding import Finding, dotted, has_errors
from stormc.load.resource_list import KIND, VERSION, read_resource_list
from stormc.load.sources import Source, Sources
from stormc.payload.read import Payload, read_payload
from stormc.record import NamedTuple
from stormc.repository.repository import open_repository
from stormc.text.write import spec_text

PATH = "config.kubernetes.io/path"
INTERNAL = "internal.config.kubernetes.io/"
OURS = ("App", "Platform", "Profile")
SEVERITIES = {"E": "error", "W": "warning", "I": "info"}
"""By the first letter of a rule's id."""


class Answer(NamedTuple):
    """The list to print, and whether a spec has errors: then the exit code is 1."""

    resource_list: dict[str, Any]
    failed: bool


def transform(text: bytes, *, payload: Payload | None = None, today: str | None = None) -> Answer:
    """The list with its specs replaced by manifests. Any other object passes through, in its order.

    Specs are the objects of `stormc.dev/v1` among `items`; `functionConfig` may be one too (kustomize generators have
    no items). With errors the items stay as they are, and `results` say why. Raises Failure for anything but a
    ResourceList.
    """
    resource_list = read_resource_list(text)
    items: list[Mapping[str, Any]] = [item for item in resource_list.get("items") or () if isinstance(item, dict)]
    config = resource_list.get("functionConfig")
    specs = [item for item in items if _is_ours(item)]
    own_config = [config] if isinstance(config, dict) and _is_ours(config) else []
    sources = _sources([*specs, *own_config])
    repository = open_repository(Sources("specs", sources, ()))
    streamed = stream_apps(repository, repository.apps, payload or read_payload(), today, partly=False)
    failed = has_errors(streamed.findings)
    if not failed:
        items = [*(item for item in items if not _is_ours(item)), *streamed.manifests]
    answer: dict[str, Any] = {"apiVersion": VERSION, "kind": KIND, "items": items}
    if config is not None:
        answer["functionConfig"] = config
    if streamed.findings:
        answer["results"] = [_result(finding) for finding in streamed.findings]
    return Answer(answer, failed)


def _is_ours(item: Mapping[str, Any]) -> bool:
    return item.get("apiVersion") == SPEC_VERSION and item.get("kind") in OURS


def _sources(items: Iterable[Mapping[str, Any]]) -> tuple[Source, ...]:
    """The specs as files: each where its path annotation says, so that platform files hold for what lies below them."""
    sources: dict[str, Source] = {}
    for number, item in enumerate(items):
        spec = _without_metadata(item)
        path = _path(spec, _annotations(item), number)
        while path in sources:
            path = f"{path.removesuffix('.yaml')}-{number}.yaml"
        sources[path] = Source(path, f"specs/{path}", spec_text(spec).encode())
    return tuple(sources[path] for path in sorted(sources))


def _path(spec: Mapping[str, Any], annotations: Mapping[str, Any], number: int) -> str:
    """The file of a spec below specs: a directory, and a name that tells what it is."""
    path = str(annotations.get(f"{INTERNAL}path") or annotations.get(PATH) or "")
    steps = [step for step in path.split("/")[:-1] if step not in ("", ".", "..")]
    directory = "/".join(steps[steps[0] == "specs" :] if steps else ())
    if spec.get("kind") == "Platform":
        return f"{directory}/platform.yaml".lstrip("/")
    name = str(spec.get("name") or number).replace("/", "-")
    return f"profiles/{name}.yaml" if spec.get("kind") == "Profile" else f"{directory}/{name}.yaml".lstrip("/")


def _annotations(item: Mapping[str, Any]) -> Mapping[str, Any]:
    metadata = item.get("metadata")
    annotations = metadata.get("annotations") if isinstance(metadata, dict) else None
    return annotations if isinstance(annotations, dict) else {}


def _without_metadata(item: Mapping[str, Any]) -> dict[str, Any]:
    """A spec as stormc reads it: `metadata` is what kustomize and kpt demand of every object, and only that."""
    metadata = item.get("metadata")
    spec = {key: value for key, value in item.items() if key != "metadata"}
    if item.get("kind") == "App" and isinstance(metadata, dict):
        for key in ("name", "namespace"):
            if metadata.get(key) and key not in spec:
                spec[key] = metadata[key]
    return spec


def _result(finding: Finding) -> dict[str, Any]:
    message = f"{finding.rule} {finding.message}" + (f" ({finding.hint})" if finding.hint else "")
    result: dict[str, Any] = {
        "message": message, "severity": SEVERITIES[finding.rule[0]], "file": {"path": finding.file},
    }  # fmt: skip
    if finding.path:
        result["field"] = {"path": dotted(finding.path)}
    return result
