"""The pods that AIBrix makes of a StormService, by release: names, labels, annotations, environment. Pure.

Sources: pkg/controller/roleset/utils.go:89-224 (stateful pods), pkg/controller/podset/podset_controller.go:157-377
(groups), pkg/controller/constants/stormservice.go:19-47 (keys), all of AIBrix v0.5.0; what later releases do otherwise
is in facts/releases. `tests/e2e/live` compares with the pods of real controllers.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from enum import Enum
from typing import Any

from stormc.digest import digest
from stormc.facts.keys import HUAWEI_PREFIX, RECOVERING, STORM_SERVICE_PREFIX, Env, Label
from stormc.facts.limits import AIBRIX_RELEASES
from stormc.load.releases import AIBrix, aibrix
from stormc.record import NamedTuple
from stormc.targets.storm_service import roles

PREFIX = STORM_SERVICE_PREFIX
OLDEST = aibrix(AIBRIX_RELEASES[0])
REPLICA_INDEX, POD_GROUP_INDEX, PODSET_NAME = (
    PREFIX + key for key in ("role-replica-index", "pod-group-index", "podset-name")
)


class Replacer(Enum):
    """Who brings a pod back after its container ended; the value is what people read."""

    KUBELET = "the kubelet restarts it"
    AIBRIX = "AIBrix replaces it"
    MINDCLUSTER = "MindCluster's rescheduling replaces it"
    NOBODY = "nobody replaces it"


class State(Enum):
    """What a pod is doing; the value is what people read."""

    PENDING = "Pending"
    RUNNING = "Running"
    READY = "Ready"
    FAILED = "Failed"
    TERMINATING = "Terminating"


class Pod(NamedTuple):
    """A pod as the controller creates it; its address comes with the start.

    `injected` are AIBrix's variables, `appended` those that a group has besides. `sorts_environment` is of the release.
    """

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
    sorts_environment: bool

    @property
    def container(self) -> Mapping[str, Any]:
        """The container; stormc's pods have one."""
        return self.spec["containers"][0]  # type: ignore[no-any-return]

    @property
    def replacer(self) -> Replacer:
        """Who brings the pod back when its container fails.

        AIBrix deletes a failed pod of its own, and never a failed member of a group, whose name stays taken
        (podset_controller.go:292-296,485-493; watched on v0.5.0 to v0.7.0).
        """
        if self.spec.get("restartPolicy", "Always") == "Always":
            return Replacer.KUBELET
        if not self.appended:
            return Replacer.AIBRIX
        recovers = self.labels.get(Label.FAULT_SCHEDULING) in RECOVERING
        return Replacer.MINDCLUSTER if recovers else Replacer.NOBODY


def pods_of(storm: Mapping[str, Any], roleset: str, release: AIBrix = OLDEST) -> list[Pod]:
    """Every pod of a StormService with one RoleSet of the given name, in the order of roles and indices."""
    return [pod for role in roles(storm) for pod in _of_role(storm, role, roleset, release)]


def template_hash(template: Mapping[str, Any]) -> str:
    """A hash of a role's pod template; AIBrix's own is another function of the same input."""
    return digest(json.dumps(template, sort_keys=True).encode())[:10]


def revision_name(storm: Mapping[str, Any]) -> str:
    """A name for the revision of a StormService; AIBrix's own has another hash of the same input."""
    hashed = digest(json.dumps(storm["spec"]["template"], sort_keys=True).encode())[:6]
    return f"{storm['metadata']['name']}-{hashed}"


def _of_role(storm: Mapping[str, Any], role: Mapping[str, Any], roleset: str, release: AIBrix) -> list[Pod]:
    name, service = role["name"], storm["metadata"]["name"]
    template, size = role["template"], role.get("podGroupSize", 1)
    hashed = template_hash(template)[: release.hash_length]
    template_labels, index = template.get("metadata", {}).get("labels", {}), release.roleset_index
    annotations = with_npus(template.get("metadata", {}).get("annotations", {}), template["spec"])
    pods = []
    for replica in range(role["replicas"]):
        stem = f"{roleset}-{name}-{hashed}-{replica}"
        own = {
            Label.STORM_SERVICE: service, Label.ROLESET: roleset, Label.ROLE: name,
            Label.ROLE_TEMPLATE_HASH: hashed, REPLICA_INDEX: str(replica),
        }  # fmt: skip
        injected = (
            (Env.STORM_SERVICE_NAME, service), (Env.ROLESET_NAME, roleset), (Env.ROLESET_INDEX, index),
            (Env.ROLE_NAME, name), (Env.ROLE_TEMPLATE_HASH, hashed), (Env.ROLE_REPLICA_INDEX, str(replica)),
        )  # fmt: skip
        numbers = {REPLICA_INDEX: str(replica), Label.ROLESET_INDEX: index}
        for member in range(size):
            group: tuple[tuple[str, str], ...] = ()
            if size > 1:
                # In a group the template's labels win over the inherited ones, elsewhere the controller's do.
                labels = {**own, PODSET_NAME: stem, POD_GROUP_INDEX: str(member), **template_labels}
                group = ((Env.PODSET_NAME, stem), (Env.POD_GROUP_INDEX, str(member)), (Env.POD_GROUP_SIZE, str(size)))
            else:
                revision = {Label.ROLE_REVISION: "1", Label.ROLE_REVISION_NAME: revision_name(storm)}
                labels = {**template_labels, **own, **(revision if release.labels_revision else {})}
            pods.append(Pod(
                f"{name}-{replica}" + (f"-{member}" if size > 1 else ""), f"{stem}-{member}" if size > 1 else stem,
                name, storm["metadata"]["namespace"], labels, annotations | numbers, injected, group,
                service, template["spec"], release.sorts_environment,
            ))  # fmt: skip
    return pods


def with_npus(annotations: Mapping[str, str], spec: Mapping[str, Any]) -> dict[str, str]:
    """A pod's annotations and the one in which Volcano writes the NPUs that it picked."""
    result = dict(annotations)
    for container in spec["containers"]:
        for resource, amount in container.get("resources", {}).get("limits", {}).items():
            if resource.startswith(HUAWEI_PREFIX):
                kind = resource.rpartition("/")[2]
                result[resource] = ",".join(f"{kind}-{number}" for number in range(int(amount)))
    return result


def ordered_environment(pod: Pod) -> list[Mapping[str, Any]]:
    """The entries of the container's environment in the order in which AIBrix writes them.

    The user's entries lose against AIBrix's. Before v0.7.0 both are sorted by name, and those of a group follow; since
    then AIBrix's own stand first, those of a group before all others, and the user's keep their order.
    """
    of_user = {entry["name"]: entry for entry in pod.container.get("env", ())}
    own = {name: {"name": name, "value": value} for name, value in (*pod.appended, *pod.injected)}
    if not pod.sorts_environment:
        return [*own.values(), *(entry for name, entry in of_user.items() if name not in own)]
    group = dict(pod.appended)
    merged = {name: entry for name, entry in {**of_user, **own}.items() if name not in group}
    return [*(merged[name] for name in sorted(merged)), *(own[name] for name in group)]


def environment(pod: Pod, address: str) -> dict[str, str]:
    """The environment of the pod's container; `$(NAME)` in a value resolves only to entries before it."""
    result: dict[str, str] = {}
    for entry in ordered_environment(pod):
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
    match = re.fullmatch(r"metadata\.(labels|annotations)\['(.*)'\]", path)
    if match is None:
        raise ValueError(f"fieldRef {path} is not known to run-local")
    return (pod.labels if match[1] == "labels" else pod.annotations).get(match[2], "")


def expand(text: str, env: Mapping[str, str]) -> str:
    """`$(NAME)` replaced where the name is known, `$$` unescaped, all else untouched (kubernetes expansion.go)."""
    return re.sub(r"\$\$|\$\(([^()]*)\)", lambda m: "$" if m[0] == "$$" else env.get(m[1], m[0]), text)


def selected(service: Mapping[str, Any], pods: Sequence[Pod]) -> list[Pod]:
    """The pods that a Service's selector matches."""
    selector = service["spec"]["selector"].items()
    return [pod for pod in pods if selector <= pod.labels.items()]


def selector_problems(services: Sequence[Mapping[str, Any]], pods: Sequence[Pod]) -> list[str]:
    """Services that lead nowhere, and those for one pod that lead to several."""
    problems = []
    for service in services:
        count = len(selected(service, pods))
        of_one = REPLICA_INDEX in service["spec"]["selector"]
        if count == 0 or (of_one and count > 1):
            problems.append(f"Service {service['metadata']['name']} selects {count} pods")
    return problems
