"""NPUs and the node that carries them.

Up to MindCluster 26.0 people label nodes with accelerator-type and host-arch, and the scheduler picks its handler by
the first. From 26.1 on nodes carry neither, and the annotation huawei.com/schedule_policy picks the handler; chips of
the resource huawei.com/npu need it on every release. Volcano writes the chosen NPUs into a pod annotation, from
which ASCEND_VISIBLE_DEVICES reads them.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from stormc.facts.keys import HOST_ARCHES, KUBELET_ARCHES, Annotation, Directory, Env, NodeLabel, Resource
from stormc.model.app import App, Role
from stormc.model.profile import Platform
from stormc.passes.because import ROLE, Reason, fact, of
from stormc.passes.edit import Edit, storm
from stormc.targets.programs import Volume, device_volume
from stormc.targets.storm_service import container_path, pod_path, role_path

HARDWARE = ("hardware",)
RELEASE = "platform.mindcluster"
ACCELERATOR = fact("hardware.acceleratorType", "", HARDWARE, exists_if_fact=RELEASE)
POLICY = fact("hardware.schedulePolicy", "", HARDWARE, exists_if_fact=RELEASE)
ARCHITECTURE = of(("hostArch",), exists_if_fact=RELEASE)
KUBELET_ARCHITECTURE = of((ROLE, "nodeSelector", NodeLabel.ARCH), ("hostArch",), exists_if_fact=RELEASE)
NPUS = of((ROLE, "npus"), exists_if=(HARDWARE,))
NAME = fact("stormc", "docs/spec.md: volumes that stormc adds")
VISIBLE_DEVICES = {
    (): fact("mindcluster", "ascend-for-volcano: the chosen NPUs stand in a pod annotation"),
    ("valueFrom", "fieldRef", "fieldPath"): fact("hardware.resource", "", HARDWARE),
}
DEVICE_FILES = fact("hardware.deviceMounts", "vllm-ascend prefill/decode guides, docker run", HARDWARE)
SHARED_MEMORY: Reason = {
    (): fact("vllm", "vllm-ascend prefill/decode guide, docker run --shm-size"),
    ("emptyDir", "sizeLimit"): of((ROLE, "shmSize")),
}


def apply(app: App, platform: Platform) -> Iterator[Edit]:
    """NPU requests, node selection and device files of both serving roles."""
    for role in app.serving_roles:
        yield from _node(app, role, platform)
        yield from _npus(app, role)
        yield from _volumes(app, role)


def _node(app: App, role: Role, platform: Platform) -> Iterator[Edit]:
    service, profile = storm(app), app.profile
    if platform.labels_nodes:
        path = pod_path(role.name, "nodeSelector", NodeLabel.ACCELERATOR_TYPE)
        yield Edit(service, path, profile.accelerator_type, ACCELERATOR)
        if app.host_arch:
            path = pod_path(role.name, "nodeSelector", NodeLabel.HOST_ARCH)
            yield Edit(service, path, HOST_ARCHES[app.host_arch], ARCHITECTURE)
    elif app.host_arch and NodeLabel.ARCH not in role.node_selector:
        # the kubelet labels every node with it
        path = pod_path(role.name, "nodeSelector", NodeLabel.ARCH)
        yield Edit(service, path, KUBELET_ARCHES[app.host_arch], KUBELET_ARCHITECTURE)
    if not platform.labels_nodes or profile.resource == Resource.NPU:
        path = role_path(role.name, "template", "metadata", "annotations", Annotation.SCHEDULE_POLICY)
        yield Edit(service, path, profile.schedule_policy, POLICY)


def _npus(app: App, role: Role) -> Iterator[Edit]:
    service, resource = storm(app), app.profile.resource
    for kind in ("limits", "requests"):
        path = container_path(role.name, role.name, "resources", kind, resource)
        yield Edit(service, path, str(role.npus), NPUS)
    entry = {
        "name": Env.VISIBLE_DEVICES,
        "valueFrom": {"fieldRef": {"apiVersion": "v1", "fieldPath": f"metadata.annotations['{resource}']"}},
    }
    path = container_path(role.name, role.name, "env", (Env.VISIBLE_DEVICES,))
    yield Edit(service, path, entry, VISIBLE_DEVICES)


def _volumes(app: App, role: Role) -> Iterator[Edit]:
    sources: list[tuple[str, str, dict[str, Any], bool]] = [
        (device_volume(path), path, {"hostPath": {"path": path, "type": kind}}, True)
        for path, kind in app.profile.device_mounts
    ]
    sources.append((Volume.SHM, Directory.SHM, {"emptyDir": {"medium": "Memory", "sizeLimit": role.shm_size}}, False))
    for name, mount_path, source, read_only in sources:
        because = SHARED_MEMORY if name == Volume.SHM else DEVICE_FILES
        yield Edit(storm(app), pod_path(role.name, "volumes", (name,)), {"name": name, **source}, because)
        mount: dict[str, Any] = {"name": name, "mountPath": mount_path}
        if read_only:
            mount["readOnly"] = True
        yield Edit(storm(app), container_path(role.name, role.name, "volumeMounts", (mount_path,)), mount, because)
