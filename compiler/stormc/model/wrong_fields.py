"""Corrects or removes the wrong fields of an app, so that the rules can judge the rest of it in the same run.

A misspelt key counts under the name that was meant. A field that nothing else depends on is removed. Where the size
of a role is unknown, the app is judged twice, with two sizes; only findings that both have, on other parts, are kept.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from stormc.facts.limits import SERVING_ROLES
from stormc.finding import Finding, Path
from stormc.model.checks import UNKNOWN_KEY
from stormc.model.layers import Layered
from stormc.model.misplaced import is_kubernetes, is_of_roles
from stormc.record import NamedTuple

MAPPINGS_OF_ROLES = ("annotations", "engineArgs", "env", "labels", "nodeSelector")
"""Mappings of a role whose keys do not depend on each other: a wrong key is removed alone."""
FIELDS_OF_ROLES = ("image", "imagePullPolicy", "imagePullSecrets", "priorityClassName", "resources", "securityContext",
                   "shmSize", "tolerations")  # fmt: skip
"""Fields of a role that no other field depends on."""
FIELDS_OF_APP = ("gateway", "hostNetwork", "imagePullPolicy", "imagePullSecrets", "interface", "networkPolicy", "port",
                 "priorityClassName", "queue", "securityContext", "shmSize", "tolerations", "volumes")  # fmt: skip
"""Fields at the top level that no other field depends on."""
DEPENDENT_ON_REPLICAS = ("minAvailable", "podGroupSize", "replicas", "spBlock")
"""Fields of both roles that are not judged where the replicas of one are unknown: the roles may share a PodGroup."""
SECTIONS = ("faults", "proxy", "routing")
"""Sections on whose fields no field of another section depends."""
SIZES = ("dataParallel", "decodeContextParallel", "minAvailable", "npus", "pipelineParallel", "podGroupSize",
         "prefillContextParallel", "replicas", "spBlock", "tensorParallel")  # fmt: skip
"""The fields that make the size of a role."""
STAND_IN: dict[Path, str] = {
    ("name",): "app", ("hardware",): "atlas", ("image",): "vllm-ascend:v0.12.0",
    ("model", "name"): "model", ("model", "path"): "/mnt/models/model",
}  # fmt: skip
"""What takes the place of a required field that is wrong."""
MOST_FINDINGS = 50
"""With more findings than that the file is not a spec yet, and the rest of it is not judged."""


class Rest(NamedTuple):
    """What is left of an app: its fields, with another size of the roles in `unknown_roles` in a second variant."""

    variants: tuple[Layered, ...]
    removed: frozenset[Path]
    renamed: frozenset[Path]
    unknown_roles: frozenset[str]

    def independent(self, of_variants: Sequence[Sequence[Finding]]) -> list[Finding]:
        """The findings that all variants have, and that do not follow from what was changed."""
        first, *others = of_variants
        shared = [{(f.rule, f.path, f.message) for f in findings} for findings in others]
        return [
            f
            for f in first
            if not self._follows(f.path) and all((f.rule, f.path, f.message) in findings for findings in shared)
        ]

    def _follows(self, path: Path) -> bool:
        """Whether a violation at the path may follow from what was changed, or lies in a field that has moved."""
        if self.unknown_roles and (not path or path[0] in self.unknown_roles or path[-1] in DEPENDENT_ON_REPLICAS):
            return True
        removed = [taken for taken in self.removed if taken[0] not in self.unknown_roles]
        return any(path[: len(field)] == field for field in self.renamed) or _depends_on(path, removed)


def without_wrong_fields(layered: Layered, findings: Sequence[Finding]) -> Rest | None:
    """The app without the fields that the findings of its check are about.

    None where so much depends on one of them that the rest cannot be judged.
    """
    if len(findings) > MOST_FINDINGS:
        return None
    data: Any = dict(layered.data)
    renamed: set[Path] = set()
    removed: set[Path] = set()
    unknown_roles: set[str] = set()
    for finding in findings:
        meant = (*finding.path[:-1], finding.meant) if finding.meant else finding.path
        if finding.rule == UNKNOWN_KEY and finding.meant and _removable_field(meant) is None and meant not in renamed:
            data = _with(data, meant, _at(data, finding.path))
            renamed.add(meant)
            removed.add(finding.path)
            continue
        changed = _what_to_remove(meant, finding.rule == UNKNOWN_KEY and not finding.meant)
        if changed is None:
            return None
        removed |= {*changed[0], finding.path} if finding.meant else changed[0]
        unknown_roles |= changed[1]
    for path in removed:
        data = _without(data, path)
    for path in removed & STAND_IN.keys():
        data = _with(data, path, STAND_IN[path])
    variants = [data, *([_resized(data, unknown_roles)] if unknown_roles else [])]
    layers = tuple(Layered(layered.layers, variant) for variant in variants)
    return Rest(layers, frozenset(removed), frozenset(renamed), frozenset(unknown_roles))


def _what_to_remove(path: Path, unknown: bool) -> tuple[set[Path], set[str]] | None:
    """The fields to remove for what is wrong at a path, and roles whose size is then unknown; None where none can."""
    field = _removable_field(path)
    if field is not None and not (unknown and path[0] not in SECTIONS):
        return {field}, set()
    if not path or path[0] not in SERVING_ROLES:
        roles = SERVING_ROLES if unknown and len(path) == 1 and is_of_roles(str(path[0])) else ()
        return ({path}, set(roles)) if unknown and len(path) == 1 else None
    return {path[:2]}, set() if unknown and is_kubernetes(str(path[-1])) else {str(path[0])}


def _depends_on(path: Path, removed: Collection[Path]) -> bool:
    """Whether a violation at the path lies in a field that was taken out or in its section, or in one of its name."""
    if any(t[-1] == "replicas" and (path[0] == t[0] or path[-1] in DEPENDENT_ON_REPLICAS) for t in removed):
        return True
    return any(path[: len(t)] == t or path[-1:] == t[-1:] or path[0] == t[0] in SECTIONS for t in removed)


def _resized(data: Any, roles: Collection[str]) -> Any:
    """The app with another size of these roles: that of the other role, or twice as many ranks."""
    for role in roles:
        other = next(name for name in SERVING_ROLES if name != role)
        sizes = data.get(other) if isinstance(data.get(other), dict) and other not in roles else {"dataParallel": 2}
        own = data[role] if isinstance(data.get(role), dict) else {}
        others = {key: value for key, value in own.items() if key not in SIZES}
        data = {**data, role: {**others, **{key: sizes[key] for key in SIZES if key in sizes}}}
    return data


def _removable_field(path: Path) -> Path | None:
    """The field that can be removed for what is wrong at a path; None where other fields depend on it."""
    if not path:
        return None
    if path[:1] == ("overrides",) or path[:1] in STAND_IN or path[0] in FIELDS_OF_APP:
        return path[:1]
    if path[:2] in STAND_IN or (path[0] in SECTIONS and len(path) > 1):
        return path[:2]
    if path[0] in SERVING_ROLES and len(path) > 1:
        if path[1] in FIELDS_OF_ROLES or path[1] == "replicas":
            return path[:2]
        if path[1] in MAPPINGS_OF_ROLES:
            return path[:3]
    return None


def _at(value: Any, path: Path) -> Any:
    for step in path:
        value = value[step]
    return value


def _without(value: Any, path: Path) -> Any:
    if not path or not isinstance(value, dict) or path[0] not in value:
        return value
    if len(path) == 1 and path[0] in SERVING_ROLES:
        return {**value, path[0]: {}}
    rest = {key: inner for key, inner in value.items() if key != path[0]}
    return rest if len(path) == 1 else {**value, path[0]: _without(value[path[0]], path[1:])}


def _with(value: Any, path: Path, new: Any) -> Any:
    inner = value.get(path[0]) if isinstance(value, dict) else None
    return {**value, path[0]: new if len(path) == 1 else _with(inner or {}, path[1:], new)}
