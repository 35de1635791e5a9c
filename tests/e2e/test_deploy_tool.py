"""`stormc compat`: the command lines of MindCluster's deploy tool against a real API server."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from stormc.cluster.kinds import STORM_SERVICE, kind_of
from stormc.cluster.owner import of_deploy_tool, owned
from stormc.load.document import load_documents
from stormc.migrate import deploy_tool
from tests.e2e.conftest import Run, Server
from tests.e2e.controllers import NS, collect
from tests.migrate import CASES

TOOL_APP = "llm-service"


@pytest.fixture
def config(tmp_path: Path, server: Server) -> Iterator[Path]:
    """A config of the deploy tool in the default namespace; its app is gone afterwards."""
    path = tmp_path / "config.yaml"
    path.write_text((CASES / "deploy-tool" / "input.yaml").read_text().replace("team-a", NS), encoding="utf-8")
    yield path
    cluster = server.cluster()
    for kind, found in (*owned(cluster, NS, TOOL_APP), *of_deploy_tool(cluster, NS, TOOL_APP)):
        collect(cluster, kind, found["metadata"]["name"])


def test_the_command_lines_of_the_deploy_tool(stormc: Run, config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stormc.commands.compat.DELETE_SECONDS", "0")
    assert stormc("compat", "deploy", "-c", str(config)) == 0
    assert stormc.out.endswith(f"StormService/{TOOL_APP}: created\n")
    assert stormc("compat", "deploy", "-c", str(config)) == 0
    assert {line.rpartition(": ")[2] for line in stormc.out.splitlines()} == {"unchanged"}
    assert stormc("compat", "status", "-n", TOOL_APP, "-ns", NS) == 1
    assert f"{TOOL_APP} in default: the controller has not seen" in stormc.out
    assert stormc("compat", "delete", "-n", TOOL_APP, "-ns", NS) == 1  # nobody collects the garbage here
    assert f"StormService/{TOOL_APP} is still there" in stormc.err


def test_what_the_deploy_tool_made_is_not_taken_over_but_taken_off(
    stormc: Run, config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (document, *_), _ = load_documents("c", config.read_bytes())
    objects, _ = deploy_tool.objects(document.data)
    cluster = stormc.server.cluster()
    for manifest in objects:
        cluster.apply(kind_of(manifest), NS, manifest, dry_run=False, force=False)
    assert stormc("compat", "status", "-n", TOOL_APP) == 1
    assert "prefill 0/2" in stormc.out
    assert stormc("compat", "deploy", "-c", str(config)) == 2
    assert f"stormc compat delete -n {TOOL_APP} -ns {NS}" in stormc.err
    monkeypatch.setattr("stormc.commands.compat.DELETE_SECONDS", "0")
    assert stormc("compat", "delete", "-n", TOOL_APP) == 1
    assert stormc.out.splitlines()[0] == f"StormService/{TOOL_APP}: deletion asked for"
    assert stormc.out.count("Service/llm-service-") == 4
    collect(cluster, STORM_SERVICE, TOOL_APP)
    assert stormc("compat", "deploy", "-c", str(config)) == 0
    assert stormc.out.endswith(f"StormService/{TOOL_APP}: created\n")
    assert stormc("compat", "delete", "-n", "nobody") == 1
    assert "nothing of nobody in namespace default" in stormc.err
