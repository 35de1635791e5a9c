"""docs/migrate.md from the first to the last command, with the cluster; AIBrix and the garbage collector are played."""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from stormc.cluster.connection import Cluster
from stormc.cluster.kinds import ROLE_SET, STORM_SERVICE, kind_of
from stormc.cluster.owner import of_deploy_tool, owned
from stormc.load.document import load_documents
from stormc.migrate import deploy_tool
from tests.e2e.conftest import Server
from tests.e2e.controllers import NS, collect, write
from tests.migrate.steps import CONFIG, STEPS, commands, edit, repository, run

APP = "llm-service"
ROLE_SET_NAME = f"{APP}-roleset-abcde"


def play(cluster: Cluster, done: threading.Event) -> None:
    """Makes the app ready while it is there, and lets it go when it is to go."""
    while not done.wait(0.2):
        service = cluster.get(STORM_SERVICE, NS, APP)
        if service is None or service["metadata"].get("deletionTimestamp"):
            collect(cluster, ROLE_SET, ROLE_SET_NAME)
            if service is not None:  # only this one: a new one may be there by now
                collect(cluster, STORM_SERVICE, APP)
            continue
        roles = [
            {"name": r["name"], **dict.fromkeys(("replicas", "readyReplicas", "updatedReadyReplicas"), r["replicas"])}
            for r in service["spec"]["template"]["spec"]["roles"]
        ]
        labels = {"storm-service-name": APP}
        write(cluster, ROLE_SET, ROLE_SET_NAME, {"metadata": {"name": ROLE_SET_NAME, "labels": labels}})
        write(cluster, ROLE_SET, ROLE_SET_NAME, {"status": {"roles": roles}}, "/status")
        ready = {"observedGeneration": service["metadata"]["generation"],
                 "conditions": [{"type": "Ready", "status": "True"}]}  # fmt: skip
        write(cluster, STORM_SERVICE, APP, {"status": ready}, "/status")


@pytest.fixture
def controllers(server: Server) -> Iterator[Cluster]:
    """A cluster in which the deploy tool has deployed the app of the page."""
    (document,), _ = load_documents("config.yaml", CONFIG.encode())
    made, _ = deploy_tool.objects(document.data)
    cluster = server.cluster()
    for manifest in made:
        cluster.apply(kind_of(manifest), NS, manifest, dry_run=False, force=False)
    done = threading.Event()
    thread = threading.Thread(target=play, args=(server.cluster(), done))
    thread.start()
    yield cluster
    done.set()
    thread.join()
    for kind, found in (*owned(cluster, NS, APP), *of_deploy_tool(cluster, NS, APP)):
        collect(cluster, kind, found["metadata"]["name"])
    collect(cluster, ROLE_SET, ROLE_SET_NAME)


def test_every_command_of_the_page(controllers: Cluster, server: Server, tmp_path: Path) -> None:
    config = str(server.kubeconfig())
    repository(tmp_path)
    shown: dict[str, str] = {}
    for number, step in enumerate(STEPS, 1):
        edit(number, tmp_path)
        for command in commands(step):
            shown[f"{number} {command}"] = run(command, tmp_path, KUBECONFIG=config)
    assert "llm-service in default: ready\n" in shown["1 stormc compat status -n llm-service -ns default"]
    assert "StormService/llm-service: deletion asked for" in shown["4 stormc compat delete -n llm-service -ns default"]
    assert "StormService/llm-service: created" in shown["4 stormc deploy a3/llm-service --wait --timeout 60"]
    changed = shown["5 stormc deploy a3/llm-service --wait --timeout 60"]
    assert "ConfigMap/stormc-launcher: created" in changed and "StormService/llm-service: changed" in changed
    assert changed.endswith("llm-service: ready\n")
    live = controllers.get(STORM_SERVICE, NS, APP)
    assert live is not None
    assert live["spec"]["selector"]["matchLabels"] == {"stormc.dev/app": "default.llm-service"}
    # What Argo CD leaves on the objects that it adopts.
    mark = {"metadata": {"annotations": {"argocd.argoproj.io/tracking-id": "x"}}}
    write(controllers, STORM_SERVICE, APP, mark, content="application/merge-patch+json")
    stormc = run("command -v stormc", tmp_path).strip()
    refused = subprocess.run(
        [stormc, "deploy", "a3/llm-service", "--kubeconfig", config], cwd=tmp_path, capture_output=True, text=True
    )
    assert refused.returncode == 2 and "belongs to Argo CD" in refused.stderr
