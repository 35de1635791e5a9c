"""Why a value of an original is not taken over into a spec."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from stormc.facts.keys import HUAWEI_PREFIX, Directory, Env
from stormc.facts.known_keys import NOUNS, RESERVED, TABLES, Use
from stormc.facts.limits import ROUTING, SERVING_ROLES
from stormc.migrate.compare import POD, TablePath, ValueDifference, is_mount
from stormc.migrate.note import LEFT_OUT, MISSPELT
from stormc.migrate.role_facts import ACCELERATOR
from stormc.phrase import NONE, Phrase, phrase
from stormc.record import NamedTuple
from stormc.rules.vocabulary import correct_key, right_table
from stormc.targets.storm_service import ROLES, role_of

_ROUTER = (
    "containers", "initContainers", "securityContext", "restartPolicy", "terminationGracePeriodSeconds",
    "topologySpreadConstraints", "enableServiceLinks", "automountServiceAccountToken",
)  # fmt: skip
"""Fields of a routing pod that belong to its program: stormc's own proxy replaces both."""


class Refusal(NamedTuple):
    """Why a key is not copied, as a finding has it."""

    rule: str
    reason: Phrase
    hint: Phrase = NONE


def entry_of(path: TablePath) -> tuple[str, tuple[str, str] | None]:
    """The role of a path; and the map (labels, annotations, nodeSelector, env) with the key, where it is in one."""
    role = str(path[len(ROLES)][0]) if path[: len(ROLES)] == ROLES and len(path) > len(ROLES) else ""
    if role not in (*SERVING_ROLES, ROUTING):
        return "", None
    rest = path[len(ROLES) + 1 :]
    if rest[:2] == ("template", "metadata") and len(rest) == 4 and rest[2] in ("labels", "annotations"):
        return role, (str(rest[2]), str(rest[3]))
    if rest[:3] == ("template", "spec", "nodeSelector") and len(rest) == 4:
        return role, ("nodeSelector", str(rest[3]))
    if rest[:5] == ("template", "spec", "containers", (role,), "env") and len(rest) == 6:
        return role, ("env", str(rest[5][0]))
    return role, None


def refusal_of(role: str, field: str, key: str) -> Refusal | None:
    """Why a label, annotation, node selector or variable is not copied; None when it may be."""
    known, noun = TABLES[field].get(key), NOUNS[field]
    elsewhere = right_table(field, key)
    close = None if known or elsewhere else correct_key(field, key)
    if close:
        return Refusal(
            MISSPELT,
            phrase("{noun} {key} is unknown to every release", noun=noun, key=key),
            phrase("did you mean {close}?", close=close),
        )
    if known and known.use is Use.CONTROLLER and key != Env.POD_IP:
        return Refusal(LEFT_OUT, phrase("{noun} {key} is written by {known}", noun=noun, key=key, known=known.text))
    if known and known.use in (Use.ELSEWHERE, Use.FOREIGN):
        return Refusal(LEFT_OUT, phrase("{noun} {key} has no place on these pods", noun=noun, key=key), known.reason)
    if known and known.use is Use.FIELD and role == ROUTING:
        return Refusal(LEFT_OUT, phrase("{noun} {key} has no effect on pods without NPUs", noun=noun, key=key))
    if elsewhere:
        return Refusal(
            LEFT_OUT,
            phrase("{key} has no effect as {noun}", key=key, noun=noun),
            phrase("it is read among the {elsewhere}", elsewhere=elsewhere),
        )
    if known is None and field in ("labels", "annotations") and key.startswith(RESERVED):
        return Refusal(LEFT_OUT, phrase("no supported release reads {noun} {key}", noun=noun, key=key))
    return None


def reason_to_keep(difference: ValueDifference) -> str:
    """Why our value stands although the original has another; empty where the original's is to be taken."""
    path, ours, theirs = difference
    role = role_of(path)
    pod = path[len(ROLES) + 1 + len(POD) :] if role and path[len(ROLES) + 1 :][: len(POD)] == POD else ()
    if path[:2] == ("spec", "selector") or path[:4] == ("spec", "template", "metadata", "labels"):
        return "AIBrix matches selectors in all namespaces; stormc's is unique in the cluster"
    if path[:2] == ("spec", "updateStrategy"):
        return "anything but InPlaceUpdate replaces every pod for any change"
    if role == ROUTING and pod and pod[0] in _ROUTER:
        return "stormc's own proxy is the router"
    if path == ("spec", "replicas"):
        return "MindCluster supports 1; raise the replicas of the roles instead"
    if is_mount(path) and ours and path[-1] == (Directory.LAUNCHER,):
        return "the launcher of this stormc, which all apps of the namespace share"
    if is_mount(path) and ours and theirs and _same_place(ours, theirs):
        return "the same, read-only or bounded as stormc mounts it"
    if "resources" in pod and _is_of_another_maker(str(path[-1])):
        return "NPUs are asked for by the profile's resource"
    return ""


def _is_of_another_maker(resource: str) -> bool:
    return ACCELERATOR.fullmatch(resource) is not None and not resource.startswith(HUAWEI_PREFIX)


def _same_place(ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> bool:
    """Whether two mounts show the same, writable or not, of whatever size."""
    return _strict(ours) == _strict(theirs)


def _strict(mount: Mapping[str, Any]) -> dict[str, Any]:
    source = {
        kind: {k: v for k, v in fields.items() if k not in ("type", "sizeLimit")}
        for kind, fields in (mount.get("source") or {}).items()
        if isinstance(fields, dict)
    }
    return {**{k: v for k, v in mount.items() if k != "readOnly"}, "source": source}
