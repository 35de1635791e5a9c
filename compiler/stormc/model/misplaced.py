"""What an unknown key was meant to be: a field of another place, another tool's name, or a field of Kubernetes."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from typing import Any

from stormc.facts.keys import VOLCANO
from stormc.facts.limits import ROUTING, SERVING_ROLES
from stormc.finding import Path
from stormc.load.engines import read_engines
from stormc.model import schema
from stormc.phrase import NONE, Phrase, either, phrase

SYNONYMS = {
    "dp": "dataParallel", "dp_size": "dataParallel", "dpSize": "dataParallel", "data_parallel_size": "dataParallel",
    "dataParallelSize": "dataParallel", "tp": "tensorParallel", "tp_size": "tensorParallel", "tpSize": "tensorParallel",
    "tensor_parallel_size": "tensorParallel", "tensorParallelSize": "tensorParallel", "pp": "pipelineParallel",
    "pp_size": "pipelineParallel", "npu_num": "npus", "npuNum": "npus", "npu": "npus", "nodes": "podGroupSize",
    "pods": "podGroupSize", "ep": "expertParallel", "enable_expert_parallel": "expertParallel",
    "model_name": "name", "model_path": "path", "distributed_dp": "distributedDp", "app_name": "name",
    "app_namespace": "namespace", "priority": "priorityClassName", "priorityClass": "priorityClassName",
    "schedulerQueue": "queue", "kv_port": "kvPort", "connector": "connector", "networkInterface": "interface",
}  # fmt: skip
"""Names of vLLM and of MindCluster's k8s-deploy-tool for fields of a spec."""
OF_PODS = {
    "affinity": "{}", "containers": "[]", "dnsPolicy": "ClusterFirst", "initContainers": "[]", "lifecycle": "{}",
    "livenessProbe": "{}", "restartPolicy": "Never", "runtimeClassName": "ascend", "schedulerName": VOLCANO,
    "securityContext": "{}", "serviceAccountName": "NAME", "serviceAccount": "NAME",
    "terminationGracePeriodSeconds": "30", "topologySpreadConstraints": "[]", "hostPID": "true", "hostIPC": "true",
    "volumeMounts": "[]", "sidecars": "[]",
}  # fmt: skip
"""Fields of Kubernetes' pods that a spec has no field for, and what might stand there."""


def hint_for(path: Path) -> Phrase:
    """The hint for an unknown key at a path of an app, or NONE where nothing is known of it."""
    key = str(path[-1])
    places = [place for place in _places().get(key, ()) if place != path[:-1]]
    if places:
        return phrase("it belongs {places}", places=_below(places))
    meant = SYNONYMS.get(key)
    if meant and (here := list(_places().get(meant, ()))):
        return (
            phrase("write {meant}", meant=meant)
            if path[:-1] in here
            else phrase("write {meant} {here}", meant=meant, here=_below(here))
        )
    flag = _flag(key)
    if flag is not None and (len(path) == 1 or path[0] in (*SERVING_ROLES, "engine", "model")):
        return phrase("{flag} is a vLLM flag: write it in engineArgs of a role, or in engine.args", flag=flag)
    if key in OF_PODS:
        role = path[0] if path[0] in (*SERVING_ROLES, ROUTING) else "decode"
        return phrase(
            "no field of specs; an override can: roles: [{{name: {role}, template: {{spec: {{{key}: …}}}}}}]",
            role=role,
            key=key,
        )
    if key in ("encode", "encoder", "union", "mixed"):
        return phrase("the roles of a spec are prefill, decode and routing")
    if key in ("service", "services"):
        return phrase("no field of specs; an override can: target: Service")
    if key in ("limits", "requests") and path[-2:-1] == ("resources",):
        return phrase("limits and requests are the same: write cpu and memory directly below resources")
    if key == "valueFrom":
        return phrase("leave valueFrom out: what is below it stands directly below the variable")
    if key in ("metadata", "spec"):
        return phrase("specs are flat: its fields stand at the top level")
    return NONE


def name_meant(path: Path) -> str | None:
    """The field of the same place that another tool's name stands for."""
    meant = SYNONYMS.get(str(path[-1]))
    return meant if meant and path[:-1] in _places().get(meant, ()) else None


def is_kubernetes(key: str) -> bool:
    """Whether the key is a field of Kubernetes' pods; no field of a spec depends on one."""
    return key in OF_PODS


def is_of_roles(key: str) -> bool:
    """Whether a key at the top level may have been meant for the serving roles, or is a flag of theirs."""
    places = _places().get(SYNONYMS.get(key, key), ())
    return any(place[:1] == (role,) for place in places for role in SERVING_ROLES) or _flag(key) is not None


def _flag(key: str) -> str | None:
    """The vLLM flag that a key stands for, whatever way it joins its words."""
    flag = re.sub(r"(?<=[a-z0-9])([A-Z])", lambda m: f"-{m[1].lower()}", key).replace("_", "-")
    engines = read_engines()
    return flag if flag in engines[engines.newest].flags else None


def _below(places: list[Path]) -> Phrase:
    sections = [".".join(map(str, place)) for place in places if place]
    if () not in places:
        return phrase("below {sections}", sections=either(sections))
    if not sections:
        return phrase("to the top level")
    return phrase("to the top level, or below {sections}", sections=either(sections))


@cache
def _places() -> Mapping[str, tuple[Path, ...]]:
    """Every field of the app with the places where it may stand."""
    by_field: dict[str, list[Path]] = {}
    tables: dict[Path, Mapping[str, Any]] = {(): schema.APP}
    tables |= {(section,): table for section, table in schema.SECTIONS.items()}
    for place, table in tables.items():
        for key in table:
            by_field.setdefault(key, []).append(place)
    return {key: tuple(places) for key, places in by_field.items()}
