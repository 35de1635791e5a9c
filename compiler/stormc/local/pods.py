"""The pods that AIBrix v0.5.0 makes of a StormService: names, labels, environment. Pure.

Sources: pkg/controller/roleset/utils.go:89-224 (stateful pods), pkg/controller/podset/podset_controller.go:157-377
(groups), pkg/controller/constants/stormservice.go:19-47 (keys), all of AIBrix v0.5.0.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from stormc.digest import digest
from stormc.facts.keys import HUAWEI_PREFIX, STORM_SERVICE_PREFIX, Env, Label
from stormc.record import NamedTuple
from stormc.targets.storm_service import roles

PREFIX = STORM_SERVICE_PREFIX
REPLICA_INDEX, POD_GROUP_INDEX, PODSET_NAME = (
    PREFIX + key for key in ("role-replica-index", "pod-group-index", "podset-name")
)


class Pod(NamedTuple):
    """A pod as the controller creates it; its address comes with the start."""

    short: str
    name: str
    role: str
    namespace: str
    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    injected: tuple[tuple[str, str], ...]
    appended: tuple[tuple[str, str], ...]
    service: str
    spec: Mapping[str, Any]

    @property
    def container(self) -> Mapping[str, Any]:
        """The container; stormc's pods have one."""
        return self.spec["containers"][0]  # type: ignore[no-any-return]

    @property
    def restarts_in_place(self) -> bool:
        """Whether the kubelet restarts the container; otherwise AIBrix replaces the failed pod."""
        return bool(self.spec.get("restartPolicy", "Always") == "Always")


def pods_of(storm: Mapping[str, Any], roleset: str) -> list[Pod]:
    """Every pod of a StormService with one RoleSet of the given name, in the order of roles and indices."""
    return [pod for role in roles(storm) for pod in _of_role(storm, role, roleset)]


def template_hash(template: Mapping[str, Any]) -> str:
    """A hash of a role's pod template; AIBrix's own is another function of the same input."""
    return digest(json.dumps(template, sort_keys=True).encode())[:10]


def _of_role(storm: Mapping[str, Any], role: Mapping[str, Any], roleset: str) -> list[Pod]:
    name, service = role["name"], storm["metadata"]["name"]
    template, size = role["template"], role.get("podGroupSize", 1)
    hashed = template_hash(template)
    pods = []
    for replica in range(role["replicas"]):
        stem = f"{roleset}-{name}-{hashed}-{replica}"
        for index in range(size):
            labels = {
                Label.STORM_SERVICE: service, Label.ROLESET: roleset, Label.ROLE: name,
                Label.ROLE_TEMPLATE_HASH: hashed, REPLICA_INDEX: str(replica),
            }  # fmt: skip
            given = template.get("metadata", {}).get("labels", {})
            group: tuple[tuple[str, str], ...] = ()
            if size > 1:
                # In a group the template's labels win over the inherited ones, elsewhere the controller's do.
                labels = {**labels, PODSET_NAME: stem, POD_GROUP_INDEX: str(index), **given}
                group = ((Env.PODSET_NAME, stem), (Env.POD_GROUP_INDEX, str(index)), (Env.POD_GROUP_SIZE, str(size)))
            else:
                labels = {**given, **labels}
            pods.append(
                Pod(
                    short=f"{name}-{replica}" + (f"-{index}" if size > 1 else ""),
                    name=f"{stem}-{index}" if size > 1 else stem,
                    role=name,
                    namespace=storm["metadata"]["namespace"],
                    labels=labels,
                    annotations=_annotations(template),
                    injected=(
                        (Env.STORM_SERVICE_NAME, service), (Env.ROLESET_NAME, roleset), (Env.ROLESET_INDEX, ""),
                        (Env.ROLE_NAME, name), (Env.ROLE_TEMPLATE_HASH, hashed), (Env.ROLE_REPLICA_INDEX, str(replica)),
                    ),
                    appended=group,
                    service=service,
                    spec=template["spec"],
                )
            )  # fmt: skip
    return pods


def _annotations(template: Mapping[str, Any]) -> dict[str, str]:
    """The template's annotations and the one in which Volcano writes the NPUs that it picked."""
    found = dict(template.get("metadata", {}).get("annotations", {}))
    for container in template["spec"]["containers"]:
        for resource, amount in container.get("resources", {}).get("limits", {}).items():
            if resource.startswith(HUAWEI_PREFIX):
                kind = resource.rpartition("/")[2]
                found[resource] = ",".join(f"{kind}-{number}" for number in range(int(amount)))
    return found


def environment(pod: Pod, address: str) -> dict[str, str]:
    """The environment of the pod's container.

    As v0.5.0 does: the user's entries lose against the injected ones, both are sorted by name, those of a group come
    last, and `$(NAME)` in a value resolves only to entries before it.
    """
    given = {entry["name"]: entry for entry in pod.container.get("env", ())}
    given.update({name: {"name": name, "value": value} for name, value in pod.injected})
    ordered = [given[name] for name in sorted(given)]
    ordered += [{"name": name, "value": value} for name, value in pod.appended]
    result: dict[str, str] = {}
    for entry in ordered:
        if "valueFrom" in entry:
            result[entry["name"]] = _field(pod, entry["valueFrom"]["fieldRef"]["fieldPath"], address)
        else:
            result[entry["name"]] = expand(entry.get("value", ""), result)
    return result


def _field(pod: Pod, path: str, address: str) -> str:
    if path == "status.podIP":
        return address
    if path == "metadata.name":
        return pod.name
    if path == "metadata.namespace":
        return pod.namespace
    found = re.fullmatch(r"metadata\.(labels|annotations)\['(.*)'\]", path)
    if found is None:
        raise ValueError(f"fieldRef {path} is not known to run-local")
    return (pod.labels if found[1] == "labels" else pod.annotations).get(found[2], "")


def expand(text: str, env: Mapping[str, str]) -> str:
    """`$(NAME)` replaced where the name is known, `$$` unescaped, all else untouched (kubernetes expansion.go)."""
    return re.sub(r"\$\$|\$\(([^()]*)\)", lambda m: "$" if m[0] == "$$" else env.get(m[1], m[0]), text)


def selected(service: Mapping[str, Any], pods: Sequence[Pod]) -> list[Pod]:
    """The pods that a Service's selector matches."""
    wanted = service["spec"]["selector"].items()
    return [pod for pod in pods if wanted <= pod.labels.items()]


def selector_problems(services: Sequence[Mapping[str, Any]], pods: Sequence[Pod]) -> list[str]:
    """Services that lead nowhere, and those for one pod that lead to several."""
    problems = []
    for service in services:
        count = len(selected(service, pods))
        of_one = REPLICA_INDEX in service["spec"]["selector"]
        if count == 0 or (of_one and count > 1):
            problems.append(f"Service {service['metadata']['name']} selects {count} pods")
    return problems
