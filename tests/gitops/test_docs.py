"""docs/gitops.md is true: its commands run, in order, in a repository like this one."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from stormc.load.document import load_document
from stormc.model.check import check_platform
from stormc.model.layers import Layer, Layered
from tests.gitops.mutations import MUTATIONS
from tests.gitops.samples import PROD, RECORDED, STAGING
from tests.samples import spec_text

ROOT = Path(__file__).parent.parent.parent
TEXT = (ROOT / "docs/gitops.md").read_text(encoding="utf-8")
COMMANDS = [line for block in re.findall(r"```sh\n(.*?)```", TEXT, flags=re.S) for line in block.splitlines()]
NEEDS_A_CLUSTER = ("kubectl apply ", "kubectl delete ", "kubectl get ", "kubectl annotate ", "kubectl create ")
BUILDS = [line for line in COMMANDS if line.startswith("kubectl kustomize ")]
RUNS = [line for line in COMMANDS if not line.startswith("kubectl ")]


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    work = tmp_path_factory.mktemp("repository")
    shutil.copytree(ROOT / "specs", work / "specs")
    for directory, text in (("staging", spec_text(STAGING)), ("prod", PROD)):
        (work / "specs" / directory).mkdir()
        (work / "specs" / directory / "chat.yaml").write_text(text)
    for command in ("stormc render", "git init -q", "git add .", "git commit -qm start"):
        run(command, work)
    return work


def run(command: str, work: Path) -> str:
    who = {f"GIT_{role}_{field}": "test@example.com" for role in ("AUTHOR", "COMMITTER") for field in ("NAME", "EMAIL")}
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, **who, "PATH": path, "GIT_CONFIG_GLOBAL": "/dev/null"}
    done = subprocess.run(["bash", "-c", command], cwd=work, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
    return done.stdout + done.stderr


def test_the_commands_run_in_order(repository: Path) -> None:
    printed = [(command, run(command, repository)) for command in RUNS]
    everything = "".join(text for _, text in printed)
    assert "0 files to write, " in dict(printed)["stormc render --check"]
    assert "preserveResourcesOnDeletion" in everything
    (delete,) = (command for command in COMMANDS if command.startswith("kubectl delete "))
    assert delete in everything, "the documented command is the one that stormc prints"
    assert "vllm-ascend:v0.13.0" in (repository / "specs/prod/chat.yaml").read_text()


KUBECTL = shutil.which("kubectl")


@pytest.mark.skipif(KUBECTL is None, reason="no kubectl on this machine")
@pytest.mark.parametrize("command", BUILDS)
def test_the_wiring_builds_to_exactly_our_objects(command: str) -> None:
    directory = ROOT / command.split()[-1]
    ours = [yaml.safe_load(path.read_text()) for path in directory.glob("*.yaml") if path.name != "kustomization.yaml"]
    built = list(yaml.safe_load_all(run(command, ROOT)))

    def key(manifest: dict[str, dict[str, str]]) -> tuple[str, str]:
        return str(manifest["kind"]), manifest["metadata"]["name"]

    assert sorted(built, key=key) == sorted(ours, key=key)


def test_what_needs_a_cluster_names_things_that_are_here() -> None:
    others = [command for command in COMMANDS if command not in RUNS + BUILDS]
    assert len(others) == 10
    for command in others:
        assert command.startswith(NEEDS_A_CLUSTER)
    for command in COMMANDS:
        for path in re.findall(r"rendered/\S+", command):
            assert (ROOT / path / "kustomization.yaml").exists(), command


def test_the_platform_file_is_valid() -> None:
    (platform,) = re.findall(r"```yaml\n(.*?)```", TEXT, flags=re.S)
    document, _ = load_document("specs/platform.yaml", platform.encode())
    assert document is not None
    assert check_platform(Layered((Layer(document),), document.data))[1] == []


def test_messages_and_numbers_are_those_of_the_tests() -> None:
    told = {case["argocd"][1] for case in RECORDED}
    shown = re.findall(r"`([^`]*(?:RoleSets ready|generation yet))`", TEXT)
    assert shown and set(shown) <= told
    numbers = {11: "eleven", 12: "twelve", 13: "thirteen"}
    assert f"{numbers[len(MUTATIONS)]} canonicalisations" in TEXT.replace("\n", " ")
