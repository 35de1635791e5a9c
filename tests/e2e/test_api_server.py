"""deploy, status and delete against a real API server; AIBrix's controller and the kubelet are played by the test."""

from __future__ import annotations

import http.server
import json
import re
import shutil
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from stormc.cluster.connection import Cluster
from stormc.cluster.kinds import CONFIG_MAP, CRD, NAMESPACE, POD, ROLE_SET, STORM_SERVICE, Kind
from stormc.cluster.owner import owned
from stormc.load.document import load_document
from stormc.payload.read import read_payload
from tests.e2e.conftest import OPERATOR, VIEWER, Run, free_ports, install, served
from tests.e2e.controllers import FOREGROUND, NS, collect, write

RENDERED = Path(__file__).parents[2] / "rendered"


def reconcile(cluster: Cluster, prefill: int = 1, failure: str = "") -> None:
    """What AIBrix's controller writes for my-test: a RoleSet with counts, and the status of both."""
    service = cluster.get(STORM_SERVICE, NS, "my-test")
    assert service is not None
    labels = {"storm-service-name": "my-test"}
    write(cluster, ROLE_SET, "my-test-roleset-abcde", {"metadata": {"name": "my-test-roleset-abcde", "labels": labels}})
    roles = [
        {"name": name, "replicas": 1, "readyReplicas": count, "updatedReadyReplicas": count}
        for name, count in (("prefill", prefill), ("decode", 1), ("routing", 1))
    ]
    conditions = [{"type": "ReplicaFailure", "status": "True", "message": failure}] if failure else []
    write(cluster, ROLE_SET, "my-test-roleset-abcde", {"status": {"roles": roles, "conditions": conditions}}, "/status")
    status = {
        "observedGeneration": service["metadata"]["generation"],
        "conditions": [{"type": "Ready" if prefill else "Progressing", "status": "True"}],
    }
    write(cluster, STORM_SERVICE, "my-test", {"status": status}, "/status")


def pod(cluster: Cluster, message: str) -> None:
    """A prefill pod that the scheduler could not place."""
    labels = {
        "storm-service-name": "my-test", "role-name": "prefill",
        "stormservice.orchestration.aibrix.ai/role-replica-index": "0",
    }  # fmt: skip
    npus = {"huawei.com/Ascend910": "16"}
    container = {"name": "prefill", "image": "i", "resources": {"limits": npus, "requests": npus}}
    metadata = {"name": "my-test-p0", "labels": labels}
    write(cluster, POD, "my-test-p0", {"metadata": metadata, "spec": {"containers": [container]}})
    conditions = [{"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": message}]
    write(cluster, POD, "my-test-p0", {"status": {"phase": "Pending", "conditions": conditions}}, "/status")


@pytest.mark.parametrize("app", ["a2/qwen3-8b", "a3/my-test", "a3/qwen3-moe"])
def test_the_server_accepts_every_example_in_order_of_dependency(stormc: Run, app: str) -> None:
    assert stormc("deploy", app, "--dry-run=server") == 0
    lines = stormc.out.splitlines()
    assert lines[0].startswith("ConfigMap/") and lines[-1].startswith("StormService/")
    assert all(line.endswith(": created (dry run)") for line in lines)
    assert not owned(stormc.server.cluster(), NS, app.partition("/")[2])


def test_a_second_deploy_changes_nothing_and_a_changed_object_is_shown_by_field(stormc: Run) -> None:
    assert stormc("deploy", "my-test") == 0
    assert stormc("deploy", "my-test") == 0
    assert {line.rpartition(": ")[2] for line in stormc.out.splitlines()} == {"unchanged"}
    # An edit by somebody else is a conflict, not a silent overwrite.
    cluster = stormc.server.cluster()
    write(cluster, STORM_SERVICE, "my-test", {"spec": {"replicas": 7}}, content="application/merge-patch+json")
    assert stormc("status", "my-test") == 1
    assert "differs from rendered: StormService/my-test spec.replicas" in stormc.out
    assert stormc("deploy", "my-test") == 2
    assert "conflict" in stormc.err and "--force" in stormc.err and stormc.err.count("\n") == 1
    assert stormc("deploy", "my-test", "--force") == 0
    assert "StormService/my-test: changed\n  spec.replicas\n" in stormc.out


def test_wait_needs_roles_and_gives_up_with_the_reason(stormc: Run) -> None:
    assert stormc("deploy", "my-test", "--wait", "--timeout", "0") == 1
    assert "has not seen this generation" in stormc.err
    reconcile(stormc.server.cluster(), prefill=0)
    assert stormc("deploy", "my-test", "--wait", "--timeout", "0") == 1
    assert "prefill 0/1 ready" in stormc.err
    reconcile(stormc.server.cluster())
    assert stormc("deploy", "my-test", "--wait", "--timeout", "60") == 0
    assert stormc.err.endswith("my-test: ready\n")


def test_status_explains_a_pending_pod_and_a_failing_role_set(stormc: Run) -> None:
    assert stormc("deploy", "my-test") == 0
    cluster = stormc.server.cluster()
    reconcile(cluster, prefill=0, failure="exceeded quota: npus")
    pod(cluster, "0/3 nodes: insufficient huawei.com/Ascend910")
    assert stormc("status", "my-test", "--format", "json") == 1
    (app,) = json.loads(stormc.out)
    assert app["problem"] == "exceeded quota: npus" and app["drift"] == []
    role = next(role for role in app["roles"] if role["name"] == "prefill")
    assert (role["desired"], role["ready"]) == (1, 0)
    (row,) = role["pods"]
    assert (row["npus"], row["phase"], row["slot"]) == (16, "Pending", "0")
    assert row["message"] == "0/3 nodes: insufficient huawei.com/Ascend910"
    assert stormc("status", "--all") == 1
    assert "0/3 nodes" in stormc.out and "RoleSet/my-test-roleset-abcde" in stormc.out


class Status(http.server.BaseHTTPRequestHandler):
    """What the proxy answers at /status, as far as stormc reads it."""

    def do_GET(self) -> None:
        instance = {"address": "my-test-prefill-0:8000", "state": "healthy", "active": 2, "failures": 0, "requests": 7}
        body = json.dumps({"mode": "layerwise", "prefill": [instance], "decode": []}).encode()
        self.send_response(200 if self.path == "/status" else 404)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Nothing."""


def test_status_has_the_proxys_table_where_the_proxy_is_to_be_reached(stormc: Run) -> None:
    assert stormc("deploy", "my-test") == 0
    assert stormc("status", "my-test") == 1
    assert "proxy:" not in stormc.out, "its Service has no pods"
    cluster, address = stormc.server.cluster(), own_address()
    if address is None:
        return  # the API server passes nothing on to loopback addresses, and this machine has no others
    with http.server.ThreadingHTTPServer((address, 0), Status) as answering:
        threading.Thread(target=answering.serve_forever, daemon=True).start()
        container = {"name": "router", "image": "i"}
        write(cluster, POD, "my-test-r0", {"spec": {"containers": [container]}})
        write(cluster, POD, "my-test-r0", {"status": {"podIP": address, "podIPs": [{"ip": address}]}}, "/status")
        target = {"kind": "Pod", "name": "my-test-r0", "namespace": NS}
        port = {"name": "http", "port": answering.server_port, "protocol": "TCP"}
        subset = {"addresses": [{"ip": address, "targetRef": target}], "ports": [port]}
        write(cluster, Kind("Endpoints", "v1", "endpoints"), "my-test-router", {"subsets": [subset]})
        wait_for(lambda: cluster.ask_service(NS, "my-test-router", "http", "status") is not None)
        assert stormc("status", "my-test", "--format", "json") == 1
        answering.shutdown()
    (app,) = json.loads(stormc.out)
    assert [(i["role"], i["state"], i["active"], i["requests"]) for i in app["instances"]] == [
        ("prefill", "healthy", 2, 7)
    ]


def own_address() -> str | None:
    """An address of this machine that is not loopback; nothing is sent."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
        except OSError:
            return None
        address: str = probe.getsockname()[0]
        return None if address.startswith("127.") else address


def test_stale_objects_are_listed_and_pruned(stormc: Run) -> None:
    cluster = stormc.server.cluster()
    labels = {"app.kubernetes.io/managed-by": "stormc", "app.kubernetes.io/part-of": "my-test"}
    for name, extra in (("my-test-old", labels), ("foreign", {})):
        write(cluster, CONFIG_MAP, name, {"metadata": {"name": name, "labels": extra}})
    assert stormc("deploy", "my-test") == 0
    assert "ConfigMap/my-test-old: stale" in stormc.out
    assert cluster.get(CONFIG_MAP, NS, "my-test-old") is not None
    assert stormc("deploy", "my-test", "--prune", "--dry-run=server") == 0
    assert cluster.get(CONFIG_MAP, NS, "my-test-old") is not None
    assert stormc("deploy", "my-test", "--prune") == 0
    collect(cluster, CONFIG_MAP, "my-test-old")
    assert cluster.get(CONFIG_MAP, NS, "my-test-old") is None
    assert cluster.get(CONFIG_MAP, NS, "foreign") is not None


@pytest.mark.parametrize(
    ("mark", "name"),
    [
        ({"annotations": {"argocd.argoproj.io/tracking-id": "x"}}, "Argo CD"),
        ({"labels": {"kustomize.toolkit.fluxcd.io/name": "x"}}, "Flux"),
    ],
)
def test_what_a_gitops_engine_owns_is_left_alone_unless_forced(stormc: Run, mark: dict[str, Any], name: str) -> None:
    assert stormc("deploy", "my-test") == 0
    cluster = stormc.server.cluster()
    write(cluster, STORM_SERVICE, "my-test", {"metadata": mark}, content="application/merge-patch+json")
    for verb in (["deploy", "my-test"], ["delete", "my-test", "--yes"]):
        assert stormc(*verb) == 2
        assert f"belongs to {name}" in stormc.err
    assert stormc("deploy", "my-test", "--force") == 0


def test_delete_takes_the_service_first_and_says_what_hangs(stormc: Run) -> None:
    assert stormc("deploy", "my-test") == 0
    assert stormc("delete", "my-test") == 2
    assert "--yes" in stormc.err
    # No garbage collector runs here, so foreground deletion waits for one.
    assert stormc("delete", "my-test", "--yes", "--wait", "--timeout", "0") == 1
    assert stormc.out.startswith("StormService/my-test: deletion asked for\n")
    assert f"StormService/my-test is still there: waits for finalizers {FOREGROUND}" in stormc.err
    cluster = stormc.server.cluster()
    for kind, found in owned(cluster, NS, "my-test"):
        collect(cluster, kind, found["metadata"]["name"])
    assert stormc("delete", "my-test", "--yes") == 1
    assert "nothing of my-test" in stormc.err


def test_a_namespace_is_created_when_asked(stormc: Run, tmp_path: Path) -> None:
    for source, name in (("a3/my-test", "elsewhere"), ("_shared/default", "_shared/elsewhere")):
        directory = tmp_path / name
        directory.mkdir(parents=True)
        for path in (RENDERED / source).iterdir():
            text = path.read_text(encoding="utf-8").replace("namespace: default", "namespace: elsewhere")
            (directory / path.name).write_text(text, encoding="utf-8")
    arguments = ("deploy", "elsewhere", "--rendered", str(tmp_path))
    assert stormc(*arguments) == 2
    assert "--create-namespace" in stormc.err and stormc.err.count("\n") == 1
    assert stormc(*arguments, "--create-namespace") == 0
    assert stormc.out.startswith("Namespace/elsewhere: created\n")
    assert stormc.server.cluster().get(NAMESPACE, None, "elsewhere") is not None


def test_failures_are_one_line(stormc: Run) -> None:
    server = stormc.server
    closed = f"https://127.0.0.1:{free_ports(1)[0]}"
    for kubeconfig, said in (
        (server.kubeconfig("expired"), "token may have expired"),
        (server.kubeconfig(VIEWER), "not allowed to get configmaps in namespace default"),
        (server.kubeconfig(url=closed), "connection refused"),
    ):
        assert stormc("deploy", "my-test", kubeconfig=kubeconfig) == 2
        assert said in stormc.err and stormc.err.count("\n") == 1
    assert stormc("deploy", "my-test", "--context", "none") == 2
    assert "no usable kubeconfig" in stormc.err and stormc.err.count("\n") == 1


def test_a_server_that_does_not_answer_is_one_line(stormc: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stormc.cluster.connection.READ_SECONDS", 0.2)
    monkeypatch.setattr("stormc.cluster.connection.CONNECT_SECONDS", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"https://127.0.0.1:{silent.getsockname()[1]}"
        assert stormc("status", "my-test", kubeconfig=stormc.server.kubeconfig(url=url)) == 2
    assert stormc.err == f"stormc: {url}: no answer in time\n"


def test_an_unknown_field_is_refused_by_the_server(stormc: Run, tmp_path: Path) -> None:
    directory = tmp_path / "my-test"
    shutil.copytree(RENDERED / "a3" / "my-test", directory)
    shutil.copytree(RENDERED / "_shared", tmp_path / "_shared")
    storm = directory / "stormservice-my-test.yaml"
    storm.write_text(storm.read_text().replace("schedulerName: volcano", "schedulerNmae: volcano", 1))
    assert stormc("deploy", "my-test", "--rendered", str(tmp_path), "--dry-run=server") == 2
    assert "schedulerNmae" in stormc.err and stormc.err.count("\n") == 1


def test_a_missing_definition_is_named(stormc: Run) -> None:
    cluster = stormc.server.cluster()
    kind = STORM_SERVICE
    status, _ = cluster._request("DELETE", CRD.path(None, kind.resource))
    assert status == 200
    try:
        wait_for(lambda: cluster.find(kind, NS) is None)
        assert stormc("deploy", "my-test") == 2
        assert f"the cluster has no {kind.resource}; stormc preflight says what is missing" in stormc.err
        assert stormc.err.count("\n") == 1
        assert stormc("preflight") == 1
        assert f"missing {kind.resource}: install AIBrix" in stormc.out
    finally:
        wait_for(lambda: cluster.get(CRD, None, kind.resource) is None)
        install(cluster)
        wait_for(lambda: served(cluster))


def wait_for(done: Callable[[], bool]) -> None:
    end = time.monotonic() + 30
    while not done():
        assert time.monotonic() < end
        time.sleep(0.1)


def test_preflight_of_a_bare_cluster_names_what_is_missing_and_writes_a_platform(stormc: Run, tmp_path: Path) -> None:
    written = tmp_path / "platform.yaml"
    assert stormc("preflight", "--write-platform", str(written)) == 1
    assert "ok      stormservices.orchestration.aibrix.ai: installed" in stormc.out
    assert "missing volcano-scheduler: " in stormc.out
    assert "kind: Platform" in written.read_text(encoding="utf-8")
    assert stormc("preflight", "--write-platform", str(written)) == 2


def test_the_role_of_the_docs_is_enough(stormc: Run) -> None:
    text = (RENDERED.parent / "docs" / "cluster.md").read_text(encoding="utf-8")
    document, _ = load_document("role.yaml", text.partition("```yaml\n")[2].partition("```")[0].encode())
    assert document is not None
    role, group = document.data, "rbac.authorization.k8s.io"
    cluster = stormc.server.cluster()
    binding = {
        "roleRef": {"apiGroup": group, "kind": "Role", "name": "stormc"},
        "subjects": [{"apiGroup": group, "kind": "User", "name": "operator"}],
    }
    write(cluster, Kind("Role", f"{group}/v1", "roles"), "stormc", {"rules": role["rules"]})
    write(cluster, Kind("RoleBinding", f"{group}/v1", "rolebindings"), "stormc", binding)
    operator = stormc.server.kubeconfig(OPERATOR)
    assert stormc("deploy", "my-test", kubeconfig=operator) == 0
    assert stormc("status", "my-test", kubeconfig=operator) == 1
    assert "has not seen this generation" in stormc.out
    assert stormc("deploy", "my-test", "--wait", "--timeout", "0", "--prune", kubeconfig=operator) == 1
    assert stormc("delete", "my-test", "--yes", "--wait", "--timeout", "0", kubeconfig=operator) == 1
    assert "waits for finalizers" in stormc.err


def test_a_finalizer_that_hangs_is_named(stormc: Run) -> None:
    assert stormc("deploy", "my-test") == 0
    cluster = stormc.server.cluster()
    reconcile(cluster)
    finalizer = "orchestration.aibrix.ai/stormservice-finalizer"
    metadata = {"metadata": {"finalizers": [finalizer]}}
    write(cluster, STORM_SERVICE, "my-test", metadata, content="application/merge-patch+json")
    assert stormc("delete", "my-test", "--yes", "--wait", "--timeout", "1") == 1
    assert "StormService/my-test is still there: waits for finalizers " in stormc.err and finalizer in stormc.err
    assert "RoleSet/my-test-roleset-abcde is still there: nothing has asked for its deletion" in stormc.err
    write(cluster, STORM_SERVICE, "my-test", {"metadata": {"finalizers": None}}, content="application/merge-patch+json")
    collect(cluster, ROLE_SET, "my-test-roleset-abcde")
    for kind, found in owned(cluster, NS, "my-test"):
        collect(cluster, kind, found["metadata"]["name"])
    assert not owned(cluster, NS, "my-test")


DOC = (RENDERED.parent / "docs" / "cluster.md").read_text(encoding="utf-8")
SHOWN = dict(re.findall(r"^    \$ stormc (.*)\n((?:    .*\n)+)", DOC, flags=re.M))


def shown(command: str) -> str:
    """What the page shows for a command; the version of the proxy's source is the one of this stormc."""
    text = "".join(line[4:] for line in SHOWN[command].splitlines(keepends=True))
    return text.replace("<version>", read_payload().proxy.version)


def test_the_page_shows_what_the_server_answers(stormc: Run) -> None:
    for app in ("a3/my-test", "a2/qwen3-8b", "a3/qwen3-moe"):
        command = f"deploy {app} --dry-run=server"
        assert stormc(*command.split()) == 0
        assert stormc.out == shown(command)
    assert stormc("deploy", "my-test") == 0
    assert stormc("status", "my-test") == 1
    assert stormc.out == shown("status my-test")
    assert stormc("delete", "my-test", "--yes") == 0
    assert stormc.out == shown("delete my-test --yes")
    assert stormc("preflight") == 1
    there = "ok      podgroups.scheduling.volcano.sh: installed\n"  # the page's server has AIBrix's definitions only
    absent = r"missing podgroups\.scheduling\.volcano\.sh: .*\n"
    assert stormc.out == re.sub(absent, there, shown("preflight"))
