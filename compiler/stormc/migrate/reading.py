"""The StormServices of a file: those in it, and those that the deploy tool makes of a config."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from stormc.facts.keys import Annotation, NodeLabel
from stormc.finding import Finding, Mark, Path
from stormc.load.document import Document
from stormc.migrate import deploy_tool
from stormc.migrate.note import ALONE, ASSUMED, LACKING, SCALED, Note
from stormc.migrate.shape import misshapen
from stormc.phrase import phrase
from stormc.record import NamedTuple
from stormc.targets.storm_service import ROLES


class Original(NamedTuple):
    """A StormService with its Services, and where the file has what stands at a path of it."""

    storm: Mapping[str, Any]
    services: Sequence[Mapping[str, Any]]
    locate: Callable[[Path, bool], Mark]
    notes: list[Note]


FORMATS = {
    "isvc": "a config of OME's deploy tool",
    "deploy_config": "a config of the infer-operator-deploy-tool",
    "deploy_server_config": "a config of MindIE-MS",
    "motor_deploy_config": "a config of MindIE-Motor",
    "npu_per_node": "a test config of vllm-ascend",
}


KINDS = {
    "InferServiceSet": "an InferServiceSet of MindCluster's infer-operator",
    "InferenceService": "an InferenceService", "LeaderWorkerSet": "a LeaderWorkerSet", "RoleBasedGroup": "an RBG",
    "ModelServing": "a ModelServing of Kthena", "Deployment": "a Deployment",
}  # fmt: skip
"""Other objects that run vLLM, by their kind."""


def formats(data: Mapping[str, Any]) -> Iterator[str]:
    """Names for a document without a StormService, the most specific first."""
    yield from (name for key, name in FORMATS.items() if key in data)
    kinds = [str(manifest["kind"]) for _, manifest in _items(data) if manifest.get("kind")]
    yield from (KINDS[kind] for kind in kinds if kind in KINDS)
    yield from (f"an object of kind {kind}" for kind in kinds if kind not in KINDS)


def read_originals(file: str, documents: Sequence[Document]) -> tuple[list[Original], list[Finding]]:
    """The StormServices of a file's documents, and findings on the other objects in it."""
    storms: list[Original] = []
    others: list[Finding] = []
    for document in documents:
        if deploy_tool.is_config(document.data):
            storms.append(_config(document))
            continue
        for path, manifest in _items(document.data):
            kind = manifest.get("kind")
            if kind == "StormService":
                storm = _strings(manifest)
                storms.append(Original(storm, (), _located(document, path), list(_shape(storm))))
            else:
                metadata = manifest.get("metadata")
                name = metadata.get("name") if isinstance(metadata, dict) else None
                if kind == "PodAutoscaler":
                    text = phrase(
                        "PodAutoscaler/{name} writes roles[].replicas: Git takes it back at every sync", name=name
                    )
                    hint = phrase("delete it, or let it scale something else: stormc's replicas stand in the spec")
                    others.append(Finding(SCALED, file, document.locate(path), text, hint))
                elif kind:
                    text = phrase("{kind}/{name} is not part of an app: it stays where it is", kind=kind, name=name)
                    others.append(Finding(ALONE, file, document.locate(path), text))
    return storms, others


def _shape(manifest: Mapping[str, Any]) -> Iterator[Note]:
    note = misshapen(manifest)
    if note:
        yield note
    elif not (manifest.get("metadata") or {}).get("name"):
        yield Note(LACKING, ("metadata",), phrase("the StormService has no name"))


def _items(data: Mapping[str, Any]) -> Iterator[tuple[Path, Mapping[str, Any]]]:
    """The objects of a document, those of a List one by one."""
    items = data.get("items")
    if str(data.get("kind", "")).endswith("List") and isinstance(items, list):
        yield from ((("items", index), item) for index, item in enumerate(items) if isinstance(item, dict))
    else:
        yield (), data


def _located(document: Document, prefix: Path) -> Callable[[Path, bool], Mark]:
    def locate(path: Path, at_key: bool) -> Mark:
        whole = (*prefix, *path)
        return (document.keys.get(whole) if at_key else None) or document.locate(whole)

    return locate


def _config(document: Document) -> Original:
    """The StormService that the deploy tool makes of a config, or the notes that say why it makes none."""
    objects, notes = deploy_tool.objects(document.data)
    in_config = _located(document, ())
    notes = [note._replace(mark=in_config(note.path, note.at_key)) for note in notes]
    if not objects:
        return Original({"metadata": {"name": document.data.get("app_name")}}, (), in_config, notes)

    def locate(path: Path, at_key: bool) -> Mark:
        return in_config(deploy_tool.place(path, objects[0]), at_key)

    return Original(objects[0], objects[1:], locate, notes)


def newer_style(storm: Mapping[str, Any]) -> Iterator[Note]:
    """Tells where nodes are chosen as the guides from MindCluster 26.1 on do, and the platform is an older one."""
    for index, role in enumerate(storm["spec"]["template"]["spec"]["roles"]):
        template = role.get("template") or {}
        annotations = (template.get("metadata") or {}).get("annotations") or {}
        selector = (template.get("spec") or {}).get("nodeSelector") or {}
        if Annotation.SCHEDULE_POLICY in annotations and NodeLabel.ACCELERATOR_TYPE not in selector:
            text = phrase("nodes are chosen by schedule_policy alone, as from MindCluster 26.1 on")
            yield Note(
                ASSUMED, (*ROLES, index), text, phrase('set mindcluster: "26.1" in platform.yaml if the cluster has it')
            )
            return


def _strings(node: Any, inside: str = "") -> Any:
    """The manifest with strings where Kubernetes has only strings; people leave the quotes of numbers out."""
    if isinstance(node, dict):
        maps = inside in ("labels", "annotations", "nodeSelector", "matchLabels")
        return {
            key: _text(value) if (maps or (inside == "env" and key == "value")) and not isinstance(value, (dict, list))
            else _strings(value, key) for key, value in node.items()
        }  # fmt: skip
    return [_strings(item, inside) for item in node] if isinstance(node, list) else node


def _text(value: Any) -> str:
    return "" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
