"""The rules of what the pods of a StormService mount, for admission."""

from __future__ import annotations

from collections.abc import Iterator

from stormc.facts.keys import DEVICE_FILES
from stormc.policy import programs, volumes
from stormc.policy.cel import Rule, below, containers, escaped, matching, maybe, pods, texts
from stormc.policy.policy import Policy

_VOLUMES = ("name", "configMap", "downwardAPI", "emptyDir", "hostPath", "persistentVolumeClaim", "projected", "secret")
_DOTS = r"/\.\.(/|$)|//"


def volume_rules(policy: Policy) -> Iterator[Rule]:
    """Host paths, other kinds of volumes, ConfigMaps, and volumes over programs."""
    yield from _volumes(policy)
    yield from _over_programs()


def _volumes(policy: Policy) -> Iterator[Rule]:
    path = "v.hostPath.path"
    read_only = "c.?volumeMounts.orValue([]).all(m, m.name != v.name || m.?readOnly.orValue(false))"
    mounted = f"p.?containers.orValue([]).all(c, {read_only})"
    listed = [below(path, [*DEVICE_FILES, *allowed]) for _, allowed in policy.values("hostPaths")]
    system = [f"({path} in {texts(DEVICE_FILES)} || ({path} != '/' && !{below(path, volumes.SYSTEM)}))"]
    plain = f"!{matching(path, _DOTS)}"
    yield (
        "E805",
        "the pods mount a path of the node that the policy does not list, or may write there",
        pods(
            f"p.?volumes.orValue([]).all(v, !has(v.hostPath) || "
            f"({plain} && {' && '.join(listed or system)} && {mounted}))"
        ),
    )
    kinds = [[*_VOLUMES, *allowed] for _, allowed in policy.values("volumes")] or [[*_VOLUMES]]
    for each in kinds:
        yield (
            "E826",
            "the pods mount a volume of a kind that the policy does not list",
            pods(f"p.?volumes.orValue([]).all(v, v.all(k, k in {texts(each)}))"),
        )
        if "configMap" not in each[len(_VOLUMES) :]:
            yield from _config_maps()


def _config_maps() -> Iterator[Rule]:
    def own(name: str) -> str:
        return f'({name} == "" || {name}.startsWith("stormc-") || {name}.startsWith(object.metadata.name + "-"))'

    message = "the pods read a ConfigMap that is not the app's"
    yield (
        "E826",
        message,
        pods(
            f"p.?volumes.orValue([]).all(v, {own(maybe('v.?configMap.?name'))} && "
            f"v.?projected.?sources.orValue([]).all(s, {own(maybe('s.?configMap.?name'))}))"
        ),
    )
    yield (
        "E826",
        message,
        containers(
            f"c.?env.orValue([]).all(e, {own(maybe('e.?valueFrom.?configMapKeyRef.?name'))}) && "
            f"c.?envFrom.orValue([]).all(e, {own(maybe('e.?configMapRef.?name'))})"
        ),
    )


def _over_programs() -> Iterator[Rule]:
    places = "|".join(escaped(each) for each in programs.PROGRAMS)
    own = 'm.mountPath == v.?hostPath.?path.orValue("") || v.?configMap.?name.orValue("").startsWith("stormc-")'
    elsewhere = f"m.name != v.name || !{matching('m.mountPath', f'^(?:{places})(?:/|$)')} || {own}"
    mounting = "(p.?containers.orValue([]) + p.?initContainers.orValue([]))"
    yield (
        "E813",
        "a volume lies over programs",
        pods(f"p.?volumes.orValue([]).all(v, {mounting}.all(c, c.?volumeMounts.orValue([]).all(m, {elsewhere})))"),
    )
