"""stormc deploy, status and delete in front of the real controllers."""

from __future__ import annotations

from pathlib import Path

import pytest

from stormc.__main__ import main
from stormc.cluster.kinds import POD, ROLE_SET, STORM_SERVICE, Kind
from stormc.facts.keys import Label
from stormc.facts.limits import ROUTING
from tests.e2e.live.apps import shaped
from tests.e2e.live.cluster import LiveCluster
from tests.e2e.live.control_plane import eventually
from tests.e2e.live.kubelet import label

REPOSITORY = Path(__file__).parents[3]
QUOTA = Kind("ResourceQuota", "v1", "resourcequotas")
NAME, NAMESPACE = "my-test", "default"


def test_deploy_status_and_delete(
    live: LiveCluster, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(REPOSITORY)

    def stormc(*arguments: str) -> tuple[int, list[str], str]:
        capsys.readouterr()
        code = main([*arguments, "--kubeconfig", str(live.plane.kubeconfig)])
        out, err = capsys.readouterr()
        return code, out.splitlines(), err

    code, lines, told = stormc("deploy", NAME, "--wait", "--timeout", "180")
    assert code == 0 and "warning" not in told.lower()
    assert {line.rpartition(": ")[2] for line in lines if "/" in line} == {"created"}
    code, lines, _ = stormc("deploy", NAME)
    assert code == 0 and {line.rpartition(": ")[2] for line in lines} == {"unchanged"}
    live.until_ready(NAMESPACE, NAME)  # with its webhook AIBrix makes each apply a new generation
    code, lines, _ = stormc("status", NAME)
    assert code == 0 and any(line.split()[:1] == ["prefill"] for line in lines)
    (member,) = [pod for pod in live.kubelet.pods(NAMESPACE, NAME, "decode") if pod["metadata"]["name"].endswith("-1")]
    live.kubelet.fail(member)
    eventually(lambda: stormc("status", NAME)[0] == 1, "status does not see the failed pod")
    assert any(member["metadata"]["name"] in line and "Failed" in line for line in stormc("status", NAME)[1])
    code, _, _ = stormc("delete", NAME, "--wait", "--yes", "--timeout", "180")
    assert code == 0
    for kind in (STORM_SERVICE, ROLE_SET, POD):
        left = [m["metadata"]["name"] for m in live.cluster.find(kind, NAMESPACE) or ()]
        assert not [each for each in left if each.startswith(NAME)], kind.name


def test_a_quota_is_told_or_waited_out(live: LiveCluster) -> None:
    """AIBrix's StormService says Progressing only. On v0.6.0 the RoleSet has the reason; later ones tell nobody."""
    namespace = live.namespace("quota")
    hard = {"requests.huawei.com/Ascend910": "16"}
    quota = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "npus"}, "spec": {"hard": hard}}
    live.cluster.apply(QUOTA, namespace, quota, dry_run=False, force=True)
    eventually(lambda: "hard" in (live.cluster.get(QUOTA, namespace, "npus") or {}).get("status", {}), "no quota")
    live.apply(shaped("{}", live.platform_release, namespace))
    eventually(lambda: engines(live, namespace) == 1, lambda: f"the quota lets in {engines(live, namespace)} pods")
    service = live.cluster.get(STORM_SERVICE, namespace, "qwen3-moe") or {}
    conditions = [c["type"] for c in service["status"]["conditions"] if c["status"] == "True"]
    assert conditions == ["Progressing"]
    assert live.problem(namespace, "qwen3-moe")
    assert engines(live, namespace) == 1
    live.cluster.delete(QUOTA, namespace, "npus")
    live.until_ready(namespace, "qwen3-moe")
    live.remove(namespace, "qwen3-moe")


def engines(live: LiveCluster, namespace: str) -> int:
    """The pods with NPUs that are there."""
    return sum(label(pod, Label.ROLE) != ROUTING for pod in live.kubelet.pods(namespace, "qwen3-moe"))
