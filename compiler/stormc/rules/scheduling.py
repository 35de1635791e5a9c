"""Who schedules the pods, which of them form a PodGroup, and what its members must agree in."""

from __future__ import annotations

from collections.abc import Iterator

from stormc.facts.keys import VOLCANO, Annotation, Label, NodeLabel, Resource
from stormc.finding import Path
from stormc.model.app import App, Role
from stormc.model.profile import Platform
from stormc.rules.finished import Finished, Template
from stormc.rules.rule import IN_ROLE, Example, Rule, Sees, Violation, both, in_role, patched

VOLCANO = VOLCANO
MIN_AVAILABLE = Annotation.SCHEDULE_MIN_AVAILABLE
ARCH_LABEL = NodeLabel.ARCH
ARCHES = {"arm": "arm64", "x86": "amd64"}
"""A hostArch as the kubelet labels its node."""


def check_scheduler(finished: Finished) -> Iterator[Violation]:
    """Roles with NPUs are scheduled by Volcano.

    Any other scheduler makes no PodGroup: no gang, no choice of NPUs by topology, no fault rescheduling, and
    ASCEND_VISIBLE_DEVICES stays empty.
    """
    for role, template in finished.serving:
        if template.pod.get("schedulerName") != VOLCANO:
            path = finished.wrote_pod(role.name, ("schedulerName",), (role.name,))
            yield Violation(path, f"{role.name} asks for NPUs and is not scheduled by Volcano", "remove the override")


def check_routing_scheduler(finished: Finished) -> Iterator[Violation]:
    """Roles other than prefill and decode are not scheduled by Volcano.

    Their pods would join the PodGroup of the roles of podGroupSize 1: each counts as a member, fails the NPU check on
    A3, and if it comes first the PodGroup is none with NPUs and no pod gets any.
    """
    serving = {role.name for role, _ in finished.serving}
    for template in finished.templates:
        if template.role not in serving and template.pod.get("schedulerName") == VOLCANO:
            path = finished.wrote_pod(template.role, ("schedulerName",), (template.role,))
            yield Violation(path, f"{template.role} is scheduled by Volcano, which is for prefill and decode",
                            "remove schedulerName")  # fmt: skip


def check_strategy(finished: Finished) -> Iterator[Violation]:
    """No schedulingStrategy: volcano-controller makes the PodGroups.

    AIBrix v0.5.0 marks its pods with a group that Volcano does not read; later releases make PodGroups without the NPU
    demand and with another minMember, and MindCluster then ignores the gang size. Installed by Helm, AIBrix may not
    even create them, and no pod starts.
    """
    if not finished.app.overrides:
        return
    spec = finished.storm["spec"]["template"].get("spec", {})
    if "schedulingStrategy" in spec:
        path = finished.wrote(("spec", "template", "spec", "schedulingStrategy"), ())
        yield Violation(path, "schedulingStrategy replaces the PodGroups that MindCluster reads", "remove it", True)
    for template in finished.templates:
        if "schedulingStrategy" in template.entry:
            path = finished.wrote_role(template.role, ("schedulingStrategy",), ())
            yield Violation(path, "schedulingStrategy replaces the PodGroups that MindCluster reads", "remove it", True)


def _gang(role: Role, template: Template) -> int | None:
    """The gang size of a finished template, None where it is no number above 0."""
    text = template.annotations.get(MIN_AVAILABLE, "")
    return int(text) if text.isascii() and text.isdigit() and int(text) > 0 else None


def _min_available(finished: Finished, role: Role) -> Path:
    return finished.wrote_key(role.name, "annotations", MIN_AVAILABLE, (role.name, "minAvailable"))


def check_gang(finished: Finished) -> Iterator[Violation]:
    """minAvailable is a number from 1 to the pods of the PodGroup, the same in all roles that share it.

    Above the number of pods the PodGroup is Pending for ever; without a number there is no gang; of two values in one
    PodGroup that of an arbitrary pod counts, and sticks.
    """
    first: tuple[str, int] | None = None
    for role, template in finished.serving:
        pods, gang = finished.app.gang(role), _gang(role, template)
        path = _min_available(finished, role)
        if gang is None:
            value = template.annotations.get(MIN_AVAILABLE, "")
            yield Violation(path, f"{role.name}: {MIN_AVAILABLE} {value!r} is no number above 0", f"set {pods}")
        elif gang > pods:
            yield Violation(path, f"{role.name}.minAvailable {gang} exceeds the {pods} pods of its PodGroup",
                            f"at most {pods}")  # fmt: skip
        elif role.shares_pod_group:
            first = first or (role.name, gang)
            if gang != first[1]:
                yield Violation(path, f"{role.name}.minAvailable {gang} differs from the {first[1]} of {first[0]}, "
                                "which shares its PodGroup", "set the same in both, or none")  # fmt: skip


def check_whole_gang(finished: Finished) -> Iterator[Violation]:
    """minAvailable is the whole PodGroup.

    With less, Volcano starts instances of which some pods never fit: their NPUs are held and do nothing. The fault
    handling of super pods also takes other paths then.
    """
    for role, template in finished.serving:
        pods, gang = finished.app.gang(role), _gang(role, template)
        if gang is not None and gang < pods:
            path = _min_available(finished, role)
            yield Violation(path, f"{role.name}.minAvailable {gang} is below the {pods} pods of its PodGroup",
                            "remove minAvailable")  # fmt: skip


SHARED_LABELS = (
    Label.FAULT_SCHEDULING, Label.FAULT_RETRY_TIMES, Label.SUB_HEALTHY_STRATEGY, Label.POD_RESCHEDULING,
    Label.TOR_AFFINITY, Label.SUPER_POD_AFFINITY, Label.INFER_SERVICE,
)  # fmt: skip
SHARED_ANNOTATIONS = {
    Annotation.SP_BLOCK: "spBlock", Annotation.RA_BLOCK: "", Annotation.SCHEDULE_POLICY: "hardware",
    Annotation.QUEUE_NAME: "queue",
}  # fmt: skip
SHARED_SELECTORS = (NodeLabel.ACCELERATOR_TYPE, NodeLabel.HOST_ARCH)


def check_agreement(finished: Finished) -> Iterator[Violation]:
    """Roles that share a PodGroup agree in everything that Volcano reads from it.

    Volcano merges the labels and selectors of all its pods: different fault settings become `grace|force`, which is no
    setting, and switch recovery off. Of different annotations, queues and priorities that of an arbitrary pod counts.
    """
    if len(finished.sharing) < 2:
        return
    (one, first), (other, second) = finished.sharing[:2]
    for name, left, right, path in _shared(finished, other, first, second):
        if left != right:
            yield Violation(path, f"{one.name} and {other.name} share a PodGroup and differ in {name}: "
                            f"{left or 'none'} and {right or 'none'}", "set the same in both roles")  # fmt: skip


def _shared(
    finished: Finished, other: Role, first: Template, second: Template
) -> Iterator[tuple[str, str | None, str | None, Path]]:
    """Name, both values and the second one's place of every setting that a shared PodGroup has once."""
    for key in SHARED_LABELS:
        if first.labels.get(key) != second.labels.get(key):
            yield key, first.labels.get(key), second.labels.get(key), finished.wrote_key(other.name, "labels", key)
    for key, field in SHARED_ANNOTATIONS.items():
        left, right = first.annotations.get(key), second.annotations.get(key)
        if left != right:
            place: Path = (other.name, field) if field else (other.name,)
            yield field or key, left, right, finished.wrote_key(other.name, "annotations", key, place)
    for key in SHARED_SELECTORS:
        if first.node_selector.get(key) != second.node_selector.get(key):
            path = finished.wrote_key(other.name, "nodeSelector", key)
            yield key, first.node_selector.get(key), second.node_selector.get(key), path
    left, right = first.pod.get("priorityClassName"), second.pod.get("priorityClassName")
    if left != right:
        place = (other.name, "priorityClassName")
        yield "priorityClassName", left, right, finished.wrote_pod(other.name, ("priorityClassName",), place)


def check_equal_npus(app: App, platform: Platform) -> Iterator[Violation]:
    """Roles that share a PodGroup ask for as many NPUs per pod.

    Volcano takes the demand of the first pod for that of all, so the decision to enqueue is made on a wrong number.
    """
    one, other = app.serving_roles
    if app.profile.super_pod or not (one.shares_pod_group and other.shares_pod_group):
        return  # on super pods both take whole nodes
    if one.npus != other.npus:
        yield Violation(("decode", "npus"), f"prefill and decode share a PodGroup, with {one.npus} and {other.npus} "
                        "NPUs per pod", "ask for the same number in both")  # fmt: skip


def check_handler(finished: Finished) -> Iterator[Violation]:
    """The pods name the scheduling handler of their product.

    Without accelerator-type and schedule_policy Volcano takes the handler of the first 910 boards; a foreign value
    selects the handler of another product. Both refuse the NPU count or find no node.
    """
    if not finished.app.overrides:
        return
    profile, platform = finished.app.profile, finished.platform
    for role, template in finished.serving:
        policy = template.annotations.get(Annotation.SCHEDULE_POLICY)
        kind = template.node_selector.get(NodeLabel.ACCELERATOR_TYPE)
        if policy is not None and policy != profile.schedule_policy:
            path = finished.wrote_key(role.name, "annotations", Annotation.SCHEDULE_POLICY, ("hardware",))
            yield Violation(path, f"schedule_policy {policy} is not that of {profile.name}", "choose another hardware")
        elif kind is not None and kind != profile.accelerator_type:
            path = finished.wrote_key(role.name, "nodeSelector", NodeLabel.ACCELERATOR_TYPE, ("hardware",))
            yield Violation(path, f"accelerator-type {kind} is not that of {profile.name}", "choose another hardware")
        elif policy is None and (kind is None or not platform.labels_nodes or profile.resource == Resource.NPU):
            path = finished.wrote_key(role.name, "annotations", Annotation.SCHEDULE_POLICY, ("hardware",))
            if path[0] != "overrides":
                path = finished.wrote_key(role.name, "nodeSelector", NodeLabel.ACCELERATOR_TYPE, ("hardware",))
            yield Violation(path, f"{role.name} names no scheduling handler", "leave what hardware sets")


def check_node_labels(finished: Finished) -> Iterator[Violation]:
    """accelerator-type and host-arch select nodes up to MindCluster 26.0 only.

    The guides of 26.1 no longer have people label nodes with them: on a fresh cluster the pods stay Pending, and
    hostArch of the spec has no effect.
    """
    if finished.platform.labels_nodes:
        return
    app = finished.app
    if app.host_arch != app.profile.host_arch:
        yield Violation(("hostArch",), f"hostArch has no effect with MindCluster {finished.platform.mindcluster}",
                        "use nodeSelector kubernetes.io/arch")  # fmt: skip
    if not app.overrides:
        return
    for template in finished.templates:
        for key in SHARED_SELECTORS:
            if key in template.node_selector:
                path = finished.wrote_key(template.role, "nodeSelector", key)
                yield Violation(path, f"nodes carry no {key} with MindCluster {finished.platform.mindcluster}",
                                "use kubernetes.io/arch or what the device plugin labels", at_key=True)  # fmt: skip


def check_arch(app: App, platform: Platform) -> Iterator[Violation]:
    """hostArch and kubernetes.io/arch are those of the product's nodes.

    No node of the product carries another label, so the pods stay Pending.
    """
    known = app.profile.host_arch
    if known and app.host_arch != known and platform.labels_nodes:
        yield Violation(("hostArch",), f"hostArch {app.host_arch}: nodes of {app.profile.name} are {known}",
                        "remove hostArch")  # fmt: skip
    for role in app.serving_roles:
        value = role.node_selector.get(ARCH_LABEL)
        if known and value is not None and value != ARCHES[known]:
            yield Violation((role.name, "nodeSelector", ARCH_LABEL), f"{ARCH_LABEL} {value}: nodes of "
                            f"{app.profile.name} are {ARCHES[known]}", f"use {ARCHES[known]}")  # fmt: skip


_SHARED = "decode: {podGroupSize: 1, dataParallel: 16%s}"
_A3_SHARED = "{hardware: atlas-800i-a3, decode: {podGroupSize: 1, dataParallel: %s, npus: %s, allowPartialNode: true}}"

RULES = (
    Rule(
        "E001", check_scheduler, "MindCluster guide, parameter table, schedulerName",
        bad=(Example(in_role("decode", "{spec: {schedulerName: default-scheduler}}"),
                     f"{IN_ROLE}.spec.schedulerName"),),
        good=(Example(""),),
        sees=Sees.MANIFESTS,
    ),
    Rule(
        "E002", check_routing_scheduler, "volcano pkg/controllers/podgroup/pg_controller_handler.go:301-328",
        bad=(Example(in_role("routing", "{spec: {schedulerName: volcano}}"), f"{IN_ROLE}.spec.schedulerName"),),
        good=(Example(in_role("routing", "{spec: {schedulerName: default-scheduler}}")),),
        sees=Sees.MANIFESTS,
    ),
    Rule(
        "E004", check_strategy, "MindCluster guide, StormService; AIBrix constants/stormservice.go, issue 1794",
        bad=(
            Example(patched("{spec: {template: {spec: {schedulingStrategy: "
                            "{volcanoSchedulingStrategy: {minMember: 2}}}}}}"),
                    "overrides[0].patch.spec.template.spec.schedulingStrategy"),
            Example(patched("{spec: {template: {spec: {roles: [{name: decode, schedulingStrategy: "
                            "{volcanoSchedulingStrategy: {minMember: 2}}}]}}}}"),
                    "overrides[0].patch.spec.template.spec.roles[0].schedulingStrategy"),
        ),
        good=(Example(in_role("decode", "{metadata: {labels: {a: b}}}")),),
        sees=Sees.MANIFESTS,
    ),
    Rule(
        "E005", check_gang, "ascend-for-volcano plugin/job.go:212-235, 547-571, 694-711",
        bad=(
            Example("decode: {minAvailable: 3}", "decode.minAvailable"),
            Example("{prefill: {minAvailable: 2}, %s}" % (_SHARED % ", minAvailable: 3"), "decode.minAvailable"),
            Example(in_role("decode", "{metadata: {annotations: {huawei.com/schedule_minAvailable: '0'}}}"),
                    f"{IN_ROLE}.metadata.annotations.huawei.com/schedule_minAvailable"),
            Example(in_role("prefill", "{metadata: {annotations: {huawei.com/schedule_minAvailable: null}}}"),
                    f"{IN_ROLE}.metadata.annotations.huawei.com/schedule_minAvailable"),
        ),
        good=(Example("decode: {minAvailable: 2}"), Example("prefill: {minAvailable: 1}")),
        sees=Sees.MANIFESTS,
    ),
    Rule(
        "W005", check_whole_gang, "ascend-for-volcano plugin/job.go:633-639",
        bad=(Example("decode: {minAvailable: 1}", "decode.minAvailable"),),
        good=(Example("decode: {minAvailable: 2}"),),
        sees=Sees.MANIFESTS,
    ),
    Rule(
        "E009", check_agreement, "ascend-for-volcano plugin/job.go:152-235; volcano pg_controller_handler.go:388-424",
        bad=(
            Example("{prefill: {queue: a}, %s}" % (_SHARED % ", queue: b"), "decode.queue"),
            Example("{prefill: {priorityClassName: high}, %s}" % (_SHARED % ""), "decode.priorityClassName"),
            Example(_SHARED % ", labels: {super-pod-affinity: soft}", "decode.labels.super-pod-affinity"),
            Example("{prefill: {replicas: 2, spBlock: 16}, decode: "
                    "{podGroupSize: 1, replicas: 2, dataParallel: 16, spBlock: 32}}",
                    "decode.spBlock"),
            Example(both(_SHARED % "", in_role("decode", "{metadata: {labels: {fault-scheduling: grace}}}")),
                    f"{IN_ROLE}.metadata.labels.fault-scheduling"),
        ),
        good=(Example("{prefill: {queue: a}, decode: {queue: b}}"),
              Example("{prefill: {queue: a}, %s}" % (_SHARED % ", queue: a"))),
        sees=Sees.MANIFESTS,
    ),
    Rule(
        "W010", check_equal_npus, "ascend-for-volcano plugin/job.go:238-258, 547-571",
        bad=(Example(_A3_SHARED % (8, 8), "decode.npus"),),
        good=(Example(_A3_SHARED % (16, 16)),),
    ),
    Rule(
        "E019", check_handler,
        "ascend-for-volcano internal/npu/factory.go:49-67, 220-252, internal/controller.go:88-99",
        bad=(
            Example(in_role("decode", "{metadata: {annotations: {huawei.com/schedule_policy: chip8-node8}}}"),
                    f"{IN_ROLE}.metadata.annotations.huawei.com/schedule_policy"),
            Example(in_role("decode", "{spec: {nodeSelector: {accelerator-type: null}}}"),
                    f"{IN_ROLE}.spec.nodeSelector.accelerator-type"),
            Example(in_role("decode", "{spec: {nodeSelector: {accelerator-type: module-910b-8}}}"),
                    f"{IN_ROLE}.spec.nodeSelector.accelerator-type"),
        ),
        good=(Example(in_role("decode", "{metadata: {annotations: {huawei.com/schedule_policy: chip2-node16-sp}}}")),),
        sees=Sees.MANIFESTS,
    ),
    Rule(
        "W020", check_node_labels, "mind-cluster commit b7ebe0b4; ascend-device-plugin pkg/server/manager.go:329-333",
        bad=(
            Example("hostArch: x86", "hostArch", 'mindcluster: "26.1"'),
            Example(in_role("decode", "{spec: {nodeSelector: {host-arch: huawei-arm}}}"),
                    f"{IN_ROLE}.spec.nodeSelector.host-arch", 'mindcluster: "26.1"'),
        ),
        good=(Example("", platform='mindcluster: "26.1"'), Example("hostArch: arm")),
        sees=Sees.MANIFESTS,
    ),
    Rule(
        "W021", check_arch, "MindCluster docs 01_introduction/03_supported_product_models_and_os.md",
        bad=(Example("hostArch: x86", "hostArch"),
             Example("decode: {nodeSelector: {kubernetes.io/arch: arm}}", "decode.nodeSelector.kubernetes.io/arch")),
        good=(Example("hostArch: arm"), Example("decode: {nodeSelector: {kubernetes.io/arch: arm64}}")),
    ),
)  # fmt: skip
