"""What a pod asks of its node must be something that the scheduler's handler for the product accepts."""

from __future__ import annotations

from collections.abc import Iterator

from stormc.facts.keys import HUAWEI_PREFIX, Directory, Env
from stormc.model.app import App, Role
from stormc.model.profile import Platform, release
from stormc.rules.finished import Finished, Step, Template, environment
from stormc.rules.rule import IN_ROLE, Example, Rule, Sees, Violation, in_role


def check_release(app: App, platform: Platform) -> Iterator[Violation]:
    """The platform's MindCluster release schedules the product.

    An older scheduler has no handler for the product's policy: the PodGroup stays Pending and no event says why.
    """
    if release(platform.mindcluster) < release(app.profile.mindcluster):
        yield Violation(
            ("hardware",),
            f"hardware {app.profile.name} needs MindCluster {app.profile.mindcluster}, the platform runs "
            f"{platform.mindcluster}",
            "set mindcluster in platform.yaml if the cluster was upgraded",
        )


def check_npus(app: App, platform: Platform) -> Iterator[Violation]:
    """The NPUs of a pod are a number that the product's scheduling handler accepts.

    Volcano validates the number in every session; with another one the PodGroup gets the condition
    JobValidateFailed and its pods stay Pending for ever. Nothing is rejected when the manifest is applied.
    """
    for role in app.serving_roles:
        if role.npus not in app.profile.pod_npus:
            legal = ", ".join(map(str, app.profile.pod_npus))
            yield Violation(
                (role.name, "npus"),
                f"{role.name}.npus {role.npus} is not schedulable on {app.profile.name}",
                f"a pod may ask for {legal}",
            )
        elif role.npus % 2 and app.profile.schedule_policy.startswith(MODULES) and _crowded(app, role):
            yield Violation(
                (role.name, "npus"),
                f"{role.name}.npus {role.npus} is half a module, in a PodGroup of {app.gang(role)} pods",
                "ask for an even number",
            )


MODULES = ("chip2-", "module-a3-")
"""Policies of modules of two dies: half a module goes to a lone pod only (module910a3x16/frame.go:63-108)."""


def _crowded(app: App, role: Role) -> bool:
    """Whether the pod is one of several, on a product whose rule E026 does not say so."""
    return app.gang(role) > 1 and not app.profile.super_pod


def check_whole_node(app: App, platform: Platform) -> Iterator[Violation]:
    """A pod takes a whole node unless the spec allows partial ones.

    MindCluster supports StormService with whole-machine scheduling only; the code accepts less on some products.
    """
    for role in app.serving_roles:
        if role.npus in app.profile.pod_npus and role.npus < app.profile.npus and not role.allow_partial_node:
            yield Violation(
                (role.name, "npus"),
                f"{role.name}.npus {role.npus} is a part of a node of {app.profile.npus}",
                "take the whole node, or set allowPartialNode: true",
            )


NPU_RESOURCES = HUAWEI_PREFIX
"""Volcano takes any resource with this prefix for the NPUs that a pod asks for (plugin/job.go GetVCTaskReqNPUType…)."""


def check_requests(finished: Finished) -> Iterator[Violation]:
    """One container of a prefill or decode pod asks for the role's NPUs, with equal limits and requests.

    Volcano reads the demand from the PodGroup and the device plugin from the container; where they differ pods are
    placed for one number and started with another, or not at all. Pods of another role would join the shared PodGroup,
    whose size does not count them.
    """
    if not finished.app.overrides:
        return
    for role, template in finished.serving:
        wanted = {(role.name, kind, finished.app.profile.resource, str(role.npus)) for kind in ("limits", "requests")}
        wrong = min(set(_asked(template, "containers")) ^ wanted, default=None)
        if wrong:
            container, kind, resource, _ = wrong
            steps: tuple[Step, ...] = ("containers", (container,), "resources", kind, resource)
            yield Violation(
                finished.wrote_pod(role.name, steps, (role.name, "npus")),
                f"container {container} of {role.name} does not ask for {role.npus} × {finished.app.profile.resource} "
                f"as {role.name}.npus says", "set npus instead",
            )  # fmt: skip
    serving = {role.name for role, _ in finished.serving}
    for template in finished.templates:
        for where in ("initContainers", "containers"):
            if where == "containers" and template.role in serving:
                continue
            for container, kind, resource, _ in _asked(template, where):
                steps = (where, (container,), "resources", kind, resource)
                yield Violation(
                    finished.wrote_pod(template.role, steps, ("overrides",)),
                    f"container {container} of {template.role} asks for {resource}, which only the engine of prefill "
                    "and decode may", "remove it",
                )  # fmt: skip
                break


def _asked(template: Template, where: str) -> Iterator[tuple[str, str, str, str]]:
    """Container, limits or requests, resource and amount of everything that Volcano takes for a demand of NPUs."""
    for container in template.pod.get(where) or ():
        for kind in ("limits", "requests"):
            for resource, amount in ((container.get("resources") or {}).get(kind) or {}).items():
                if resource.startswith(NPU_RESOURCES):
                    yield container["name"], kind, resource, str(amount)


def check_visible_devices(finished: Finished) -> Iterator[Violation]:
    """ASCEND_VISIBLE_DEVICES reads the annotation of the product's resource.

    Volcano writes the chosen NPUs there; from another annotation, or a literal, the runtime mounts no or other chips.
    """
    if not finished.app.overrides:
        return
    wanted = f"metadata.annotations['{finished.app.profile.resource}']"
    for role, template in finished.serving:
        for container, name, entry in environment(template):
            if name == Env.VISIBLE_DEVICES:
                field = ((entry.get("valueFrom") or {}).get("fieldRef") or {}).get("fieldPath")
                if field != wanted:
                    path = finished.wrote_env(role.name, container, name)
                    yield Violation(path, f"ASCEND_VISIBLE_DEVICES does not read {wanted}", "do not override it")


DEVICE_MOUNTS = (Directory.HCCN_CONF, Directory.SHM)


def check_mounts(finished: Finished) -> Iterator[Violation]:
    """The engine container has /etc/hccn.conf and a /dev/shm of its own.

    Without the first KV transfer does not know the NPUs' addresses, and Ascend Docker Runtime does not mount it;
    without the second the ranks of a pod have 64 MB of shared memory and die under load.
    """
    if not finished.app.overrides:
        return
    for role, template in finished.serving:
        for container in template.containers:
            mounts = {mount.get("mountPath") for mount in container.get("volumeMounts") or ()}
            for path in DEVICE_MOUNTS:
                if container["name"] == role.name and path not in mounts:
                    where = finished.wrote_pod(role.name, ("containers", (role.name,), "volumeMounts", (path,)),
                                               ("overrides",))  # fmt: skip
                    yield Violation(where, f"{role.name} does not mount {path}", "keep stormc's mount")


_DOC = "MindCluster guide, parameter table, huawei.com/Ascend910; ascend-for-volcano plugin/job.go:694-739"

_ONE_DIE = (
    "{hardware: atlas-800i-a3, prefill: {replicas: %s, npus: 1, allowPartialNode: true, dataParallel: 1, "
    "tensorParallel: 1}}"
)
_HALF_NODE = "{hardware: atlas-800i-a3, prefill: {npus: 8, dataParallel: 1, tensorParallel: 8%s}}"

RULES = (
    Rule(
        "E018", check_release, "MindCluster docs, 07_Intergenerational_upgrade.md; ascend-for-volcano factory.go:49-67",
        bad=(Example("{hardware: atlas-850, prefill: {tensorParallel: 4}, decode: {dataParallel: 16}}", "hardware"),),
        good=(Example("hardware: atlas-900-a3-superpod"),),
    ),
    Rule(
        "E022", check_npus, _DOC,
        bad=(Example("prefill: {npus: 7, dataParallel: 7, tensorParallel: 1}", "prefill.npus"),
             Example(_ONE_DIE % 2, "prefill.npus")),
        good=(Example("prefill: {npus: 16}"), Example(_ONE_DIE % 1)),
    ),
    Rule(
        "W022", check_whole_node, _DOC,
        bad=(Example(_HALF_NODE % "", "prefill.npus"),),
        good=(Example(_HALF_NODE % ", allowPartialNode: true"),),
    ),
    Rule(
        "E023", check_requests,
        "MindCluster docs 06_api/15_yaml_configuration.md; ascend-for-volcano plugin/job.go:238-258",
        bad=(
            Example(in_role("decode", "{spec: {containers: [{name: decode, resources: {limits: "
                                      "{huawei.com/Ascend910: '8'}}}]}}"),
                    f"{IN_ROLE}.spec.containers[0].resources.limits.huawei.com/Ascend910"),
            Example(in_role("decode", "{spec: {containers: [{name: side, image: 'side:1', resources: {limits: "
                                      "{huawei.com/Ascend910: '1'}, requests: {huawei.com/Ascend910: '1'}}}]}}"),
                    f"{IN_ROLE}.spec.containers[0].resources.limits.huawei.com/Ascend910"),
            Example(in_role("decode", "{spec: {containers: [{name: decode, resources: {limits: "
                                      "{huawei.com/npu-core: '4'}}}]}}"),
                    f"{IN_ROLE}.spec.containers[0].resources.limits.huawei.com/npu-core"),
            Example(in_role("decode", "{spec: {initContainers: [{name: warm, image: 'a:1', resources: {limits: "
                                      "{huawei.com/Ascend910: '1'}}}]}}"),
                    f"{IN_ROLE}.spec.initContainers[0].resources.limits.huawei.com/Ascend910"),
            Example(in_role("routing", "{spec: {containers: [{name: router, resources: {limits: "
                                       "{huawei.com/Ascend910: '1'}}}]}}"),
                    f"{IN_ROLE}.spec.containers[0].resources.limits.huawei.com/Ascend910"),
        ),
        good=(Example(in_role("decode", "{spec: {containers: [{name: decode, resources: {limits: {cpu: '8'}}}]}}")),),
        sees=Sees.MANIFESTS,
    ),
    Rule(
        "E029", check_visible_devices, "ascend-device-plugin pkg/server/plugin.go:582-634",
        bad=(Example(in_role("decode", "{spec: {containers: [{name: decode, env: [{name: ASCEND_VISIBLE_DEVICES, "
                                       "valueFrom: {fieldRef: {fieldPath: "
                                       "\"metadata.annotations['huawei.com/npu']\"}}}]}]}}"),
                     f"{IN_ROLE}.spec.containers[0].env[0]"),),
        good=(Example(in_role("decode", "{spec: {containers: [{name: decode, env: [{name: A, value: b}]}]}}")),),
        sees=Sees.MANIFESTS,
    ),
    Rule(
        "E042", check_mounts, "ascend-docker-runtime build/scripts/base.list; vllm-ascend P/D guide, docker run",
        bad=(Example(in_role("decode", "{spec: {containers: [{name: decode, volumeMounts: null}]}}"),
                     f"{IN_ROLE}.spec.containers[0].volumeMounts"),),
        good=(Example(in_role("decode", "{spec: {containers: [{name: decode, volumeMounts: "
                                        "[{name: model, mountPath: /models, readOnly: true}]}]}}")),),
        sees=Sees.MANIFESTS,
    ),
)  # fmt: skip
