"""Reads the manifests of a rendered app for commands that apply or run them. They are data of a branch, not trusted.

Only regular files of the app's own directory are read, and each has to be of a kind that stormc renders and valid for
the API server: code that gets them may rely on their shape.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from stormc.emit.schema_check import check_manifest
from stormc.facts.kinds import KUSTOMIZE
from stormc.failure import Failure
from stormc.finding import dotted, shown
from stormc.load.document import load_document
from stormc.phrase import phrase
from stormc.tree.layout import KUSTOMIZATION
from stormc.tree.read import on_disk
from stormc.tree.shared import shared_paths

Manifest = Mapping[str, Any]


def read_manifests(directory: Path) -> list[Manifest]:
    """The objects that a rendered app's kustomization lists, and those that it shares with others of its namespace.

    Raises Failure for a directory without an app, for a file that stormc cannot have rendered, and where a shared file
    is missing.
    """
    if not (directory / KUSTOMIZATION).exists():
        raise Failure(
            phrase(
                "{directory}/kustomization.yaml: no such file; give the rendered directory of an app",
                directory=directory,
            )
        )
    index = _read(directory / KUSTOMIZATION)
    if index.get("apiVersion") != KUSTOMIZE:
        raise Failure(
            phrase(
                "{directory}/kustomization.yaml is no kustomization; give the rendered directory of an app",
                directory=directory,
            )
        )
    manifests = [_object(directory, name) for name in index.get("resources", ())]
    if sum(manifest["kind"] == "StormService" for manifest in manifests) != 1:
        raise Failure(
            phrase("{directory} is not the rendered directory of an app: it has no StormService", directory=directory)
        )
    return [*(_object(path.parent, path.name) for path in shared_paths(directory, manifests)), *manifests]


def _object(directory: Path, name: str) -> Manifest:
    if "/" in name or name in ("", ".", "..", KUSTOMIZATION):
        raise Failure(
            phrase(
                "{directory}/kustomization.yaml lists {shown}, which is no file of its directory",
                directory=directory,
                shown=shown(name),
            )
        )
    manifest = _read(directory / name)
    if manifest["kind"] == "Kustomization" or "namespace" not in manifest["metadata"]:
        raise Failure(phrase("{file} is no object of an app", file=directory / name))
    return manifest


def _read(path: Path) -> Manifest:
    raw = on_disk(path.parent, path.name)
    if raw is None:
        raise Failure(phrase("{path} is no regular file that can be read", path=path))
    document, findings = load_document(str(path), raw)
    if document is None:
        raise Failure(phrase("{path}: {message}", path=path, message=findings[0].message))
    if problems := check_manifest(document.data):
        raise Failure(
            phrase(
                "{path}: {dotted}: {message}; run: stormc render",
                path=path,
                dotted=dotted(problems[0].path),
                message=problems[0].message,
            )
        )
    manifest: Manifest = document.data
    return manifest
