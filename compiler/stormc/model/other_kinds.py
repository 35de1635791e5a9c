"""Files in the place of a spec that are something else: one finding says what to do with the file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from stormc.facts.keys import STORMC_PREFIX
from stormc.finding import Finding, Path
from stormc.model.checks import OTHER_KIND
from stormc.model.layers import Layered, finding_at
from stormc.phrase import Phrase, both, phrase

OF_SPECS = ("apiVersion", "decode", "hardware", "kind", "model", "prefill")
"""A file with none of these keys is no app."""
PLACES = {
    "App": phrase("any other file below the specs"),
    "Platform": phrase("files named platform.yaml"),
    "Profile": phrase("the directory profiles below the specs"),
}


def other_kind(layered: Layered, expected: str) -> Finding | None:
    """The finding on a file that is not of the `expected` kind, or None where it may be."""
    data = layered.layers[-1].data
    kind, api = data.get("kind"), data.get("apiVersion")
    if "storm_service" in data:
        message = phrase("this is a config of MindCluster's k8s-deploy-tool, not a spec")
        return _finding(layered, ("storm_service",), message, _imported())
    if isinstance(kind, str) and kind in PLACES and kind != expected:
        return _misplaced(layered, kind)
    foreign = isinstance(api, str) and not api.startswith(STORMC_PREFIX)
    if isinstance(kind, str) and kind not in PLACES and (foreign or kind == "StormService"):
        message = phrase("this is a {kind} for Kubernetes, not a spec", kind=kind)
        moved = phrase("move the file out of the specs")
        return _finding(layered, ("kind",), message, _imported() if kind == "StormService" else moved)
    return _not_flat(layered, data) if expected == "App" else None


def _imported() -> Phrase:
    return phrase("move it out of the specs, then turn it into one: stormc import FILE")


def _misplaced(layered: Layered, kind: str) -> Finding:
    message = phrase("a file of kind {kind} stands where none is read", kind=kind)
    hint = phrase("{kind} is the kind of {place}: move or rename the file", kind=kind, place=PLACES[kind])
    return _finding(layered, ("kind",), message, hint)


def _not_flat(layered: Layered, data: Mapping[str, Any]) -> Finding | None:
    """What an app is lacking that has its fields below `spec`, as Kubernetes has, or none of them."""
    nested = [key for key in ("metadata", "spec") if isinstance(data.get(key), dict)]
    if nested and not any(key in data for key in ("model", "prefill", "decode")):
        message = phrase("the fields of a spec stand at the top level, not below {nested}", nested=both(nested))
        return _finding(layered, (nested[0],), message, phrase("move them to the top level"))
    if not any(key in data for key in OF_SPECS):
        message = phrase("the file is not a spec: it has neither apiVersion nor kind")
        hint = phrase("move it out of the specs, or begin it with apiVersion: stormc.dev/v1 and kind: App")
        return _finding(layered, (), message, hint)
    return None


def _finding(layered: Layered, at: Path, message: Phrase, hint: Phrase) -> Finding:
    return finding_at(layered, OTHER_KIND, at, message, hint, key=True)
