"""What is left of an app when its wrong fields are taken out, so that the rules can judge the rest in the same run.

Only fields are taken out on which nothing else rests: without dataParallel or hardware, whatever a rule said could be
a consequence.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from stormc.facts.limits import SERVING_ROLES
from stormc.finding import Finding, Path
from stormc.model.checks import UNKNOWN_KEY
from stormc.model.layers import Layered

MAPS = ("annotations", "engineArgs", "env", "labels", "nodeSelector")
PODS = ("image", "imagePullPolicy", "imagePullSecrets", "priorityClassName", "resources", "shmSize", "tolerations")
OF_APP = ("gateway", "hostNetwork", "imagePullPolicy", "imagePullSecrets", "interface", "networkPolicy", "port",
          "priorityClassName", "queue", "shmSize", "tolerations", "volumes")  # fmt: skip
RESTING_ON_REPLICAS = ("minAvailable", "podGroupSize", "replicas", "spBlock")
"""Fields of any role about which nothing is said where a role's replicas are unknown: all share one PodGroup."""
SECTIONS = ("faults", "proxy", "routing")
STAND_IN: dict[Path, str] = {
    ("name",): "app", ("image",): "vllm-ascend:v0.12.0",
    ("model", "name"): "model", ("model", "path"): "/mnt/models/model",
}  # fmt: skip
"""For what an app cannot be without."""


MOST = 50
"""Findings up to which the rest of an app is judged; each takes a field out, and with more the file is no spec yet."""


def without_wrong_fields(layered: Layered, findings: Sequence[Finding]) -> tuple[Layered, frozenset[Path]] | None:
    """The app without the fields that the findings of its check are about, and these fields.

    None when one of them is such that nothing can be said of the others.
    """
    if len(findings) > MOST:
        return None
    taken: set[Path] = set()
    for finding in findings:
        path, unknown = finding.path, finding.rule == UNKNOWN_KEY
        if unknown and finding.meant:
            taken.add(path)
            path, unknown = (*path[:-1], finding.meant), False
        field = _field(path)
        if field is None or (unknown and path[0] not in SECTIONS):
            return None
        taken.add(field)
    data: Any = dict(layered.data)
    for path in taken:
        data = _without(data, path)
    for path in taken & STAND_IN.keys():
        data = _with(data, path, STAND_IN[path])
    return Layered(layered.layers, data), frozenset(taken)


def follows(path: Path, taken: Collection[Path]) -> bool:
    """Whether a violation at the path may follow from one of the fields that were taken out.

    It lies in the field or in its section, or is about a field of the same name, as where two roles must agree.
    """
    if any(t[-1] == "replicas" and (path[0] == t[0] or path[-1] in RESTING_ON_REPLICAS) for t in taken):
        return True
    return any(path[: len(t)] == t or path[-1:] == t[-1:] or path[0] == t[0] in SECTIONS for t in taken)


def _field(path: Path) -> Path | None:
    """The field to take out for what is wrong at a path; None where others rest on it."""
    if not path:
        return None
    if path[:1] == ("overrides",) or path[:1] in STAND_IN or path[0] in OF_APP:
        return path[:1]
    if path[:2] in STAND_IN or (path[0] in SECTIONS and len(path) > 1):
        return path[:2]
    if path[0] in SERVING_ROLES and len(path) > 1:
        if path[1] in PODS or path[1] == "replicas":
            return path[:2]
        if path[1] in MAPS:
            return path[:3]
    return None


def _without(value: Any, path: Path) -> Any:
    if not isinstance(value, dict) or path[0] not in value:
        return value
    rest = {key: inner for key, inner in value.items() if key != path[0]}
    return rest if len(path) == 1 else {**value, path[0]: _without(value[path[0]], path[1:])}


def _with(value: Any, path: Path, text: str) -> Any:
    inner = value.get(path[0]) if isinstance(value, dict) else None
    return {**value, path[0]: text if len(path) == 1 else _with(inner or {}, path[1:], text)}
