from __future__ import annotations

import pytest

from stormc.load.releases import mindcluster
from stormc.model.profile import Platform
from tests.samples import container, pod, storm

NODES = [
    ("{}", "7.3", {"accelerator-type": "module-a3-16-super-pod", "host-arch": "huawei-arm"}, None),
    ("{}", "26.0", {"accelerator-type": "module-a3-16-super-pod", "host-arch": "huawei-arm"}, None),
    ("{}", "26.1", {"kubernetes.io/arch": "arm64"}, "chip2-node16-sp"),
    ("hostArch: x86", "26.1", {"kubernetes.io/arch": "amd64"}, "chip2-node16-sp"),
    ("hostArch: x86", "7.3", {"accelerator-type": "module-a3-16-super-pod", "host-arch": "huawei-x86"}, None),
    ("hardware: atlas-800i-a2", "7.3", {"accelerator-type": "module-910b-8", "host-arch": "huawei-arm"}, None),
    ("hardware: atlas-800i-a2", "26.1", {"kubernetes.io/arch": "arm64"}, "chip8-node8"),
    ("hardware: atlas-850", "26.0", {"accelerator-type": "850-Atlas-8p-8", "host-arch": "huawei-arm"}, "chip8-node8"),
]


@pytest.mark.parametrize(("overlay", "release", "selector", "policy"), NODES)
def test_nodes_are_selected_as_the_release_labels_them(
    overlay: str, release: str, selector: dict[str, str], policy: str | None
) -> None:
    service = storm(overlay, Platform(mindcluster=mindcluster(release)))
    for role in ("prefill", "decode"):
        template = pod(service, role)
        assert template["spec"].get("nodeSelector") == selector
        assert template["metadata"]["annotations"].get("huawei.com/schedule_policy") == policy
    assert "nodeSelector" not in pod(service, "routing")["spec"]


@pytest.mark.parametrize(
    ("overlay", "resource", "count"),
    [
        ("{}", "huawei.com/Ascend910", "16"),
        ("hardware: atlas-800i-a2", "huawei.com/Ascend910", "8"),
        ("hardware: atlas-850", "huawei.com/npu", "8"),
        ("decode: {npus: 8}", "huawei.com/Ascend910", "8"),
    ],
)
def test_npus_are_equal_strings_and_visible(overlay: str, resource: str, count: str) -> None:
    rendered = container(storm(overlay), "decode")
    assert rendered["resources"]["limits"][resource] == rendered["resources"]["requests"][resource] == count
    entry = next(e for e in rendered["env"] if e["name"] == "ASCEND_VISIBLE_DEVICES")
    assert entry["valueFrom"]["fieldRef"]["fieldPath"] == f"metadata.annotations['{resource}']"


def test_device_files_and_shared_memory_are_mounted() -> None:
    service = storm("decode: {shmSize: 1024Mi}")
    volumes = {v["name"]: v for v in pod(service, "decode")["spec"]["volumes"]}
    assert volumes["hccn-conf"]["hostPath"] == {"path": "/etc/hccn.conf", "type": "File"}
    assert volumes["shm"]["emptyDir"] == {"medium": "Memory", "sizeLimit": "1Gi"}
    mounts = {m["mountPath"]: m for m in container(service, "decode")["volumeMounts"]}
    assert mounts["/etc/hccn.conf"]["readOnly"] is True
    assert mounts["/dev/shm"] == {"name": "shm", "mountPath": "/dev/shm"}


def test_routing_pods_ask_for_no_npu() -> None:
    resources = container(storm(), "routing")["resources"]
    assert resources["limits"] == {"cpu": "1", "memory": "1Gi"}
