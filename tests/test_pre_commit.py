"""The hooks in the hands of the real pre-commit, in a real repository: what blocks a commit, and what it then says."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from stormc.text.format import formatted
from tests.samples import spec_text

ROOT = Path(__file__).parent.parent
STORMC = f"{sys.executable} -m stormc"
PLATFORM = "apiVersion: stormc.dev/v1\nkind: Platform\nnamespace: lab\n"


def hooks(file: str) -> list[dict[str, Any]]:
    """The hooks of this repository as one of the two files defines them."""
    loaded: Any = yaml.safe_load((ROOT / file).read_text())
    return loaded if isinstance(loaded, list) else loaded["repos"][0]["hooks"]


class Repository:
    """A repository whose commits pass the hooks that others get, run with the interpreter of this test."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._environment = {key: value for key, value in os.environ.items() if not key.startswith("GIT_")} | {
            "PRE_COMMIT_HOME": str(root.parent / "pre-commit"), "PYTHONPATH": str(ROOT), "NO_COLOR": "1",
            "GIT_CONFIG_GLOBAL": os.devnull, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        }  # fmt: skip
        root.mkdir()
        self.run("git", "init", "-q", "-b", "main")
        for name in ("user.name", "user.email"):
            self.run("git", "config", name, "tester")
        offered = [hook | {"language": "system", "entry": STORMC + hook["entry"].removeprefix("stormc")}
                   for hook in hooks(".pre-commit-hooks.yaml")]  # fmt: skip
        self.write(".pre-commit-config.yaml", yaml.safe_dump({"repos": [{"repo": "local", "hooks": offered}]}))
        self.write("specs/platform.yaml", PLATFORM)
        self.write("specs/a.yaml", spec_text("name: a"))
        self.write("specs/b.yaml", spec_text("name: b"))
        installed = self.run(sys.executable, "-m", "pre_commit", "install")
        assert installed.returncode == 0, installed.stdout
        self.render()

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            words, cwd=self.root, env=self._environment, capture_output=True, text=True, timeout=600, check=False
        )

    def write(self, path: str, text: str) -> None:
        (self.root / path).parent.mkdir(parents=True, exist_ok=True)
        canonical, _ = formatted(path, text.encode()) if path.endswith(".yaml") else (None, [])
        (self.root / path).write_text(canonical or text)

    def render(self) -> None:
        done = self.run(sys.executable, "-m", "stormc", "render")
        assert done.returncode == 0, done.stderr

    def commit(self) -> subprocess.CompletedProcess[str]:
        self.run("git", "add", "-A")
        return self.run("git", "commit", "-qm", "change")

    def commits(self) -> int:
        return len(self.run("git", "log", "--oneline").stdout.splitlines())


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    """A repository with its first commit made, through the hooks."""
    made = Repository(tmp_path / "repository")
    done = made.commit()
    assert (done.returncode, made.commits()) == (0, 1), done.stdout + done.stderr
    return made


def test_a_bad_spec_blocks_the_commit_with_its_finding(repository: Repository) -> None:
    repository.write("specs/a.yaml", spec_text("name: a\nreplicas: 3"))
    done = repository.commit()
    assert (done.returncode, repository.commits()) == (1, 1)
    assert "specs/a.yaml:" in done.stderr and "E201 unknown key replicas" in done.stderr
    assert "specs/b.yaml" not in done.stderr


def test_stale_manifests_block_the_commit_until_they_are_repaired(repository: Repository) -> None:
    repository.write("specs/a.yaml", spec_text("name: a\nport: 9000"))
    done = repository.commit()
    assert (done.returncode, repository.commits()) == (1, 1)
    assert "change rendered/a/stormservice-a.yaml" in done.stderr
    assert "run: stormc render" in done.stderr
    repository.render()
    done = repository.commit()
    assert (done.returncode, repository.commits()) == (0, 2), done.stdout + done.stderr


def test_manifests_that_are_not_staged_do_not_count(repository: Repository) -> None:
    repository.write("specs/a.yaml", spec_text("name: a\nport: 9000"))
    repository.render()
    repository.run("git", "add", "specs")
    done = repository.run("git", "commit", "-qm", "half")
    assert (done.returncode, repository.commits()) == (1, 1)
    assert "run: stormc render" in done.stderr


def test_a_rendered_file_that_git_does_not_know_blocks_the_commit(repository: Repository) -> None:
    repository.write("specs/a.yaml", spec_text("name: a\ndecode: {replicas: 2}"))
    repository.render()
    done = repository.run("git", "commit", "-qam", "scale up")  # -a stages no new file
    assert (done.returncode, repository.commits()) == (1, 1)
    assert "rendered/a/service-a-decode-1-0.yaml:1:1: E403 not in Git, and 1 more here" in done.stderr
    assert "git add -A rendered/a" in done.stderr
    repository.run("git", "add", "-A", "rendered/a")
    done = repository.run("git", "commit", "-qam", "scale up")
    assert (done.returncode, repository.commits()) == (0, 2), done.stdout + done.stderr


def test_an_app_whose_manifests_were_forgotten_blocks_the_commit(repository: Repository) -> None:
    repository.write("specs/c.yaml", spec_text("name: c\nmodel: {name: c}"))
    repository.render()
    repository.run("git", "add", "specs")
    done = repository.run("git", "commit", "-qm", "new app")
    assert (done.returncode, repository.commits()) == (1, 1)
    assert "E403 not in Git" in done.stderr and "git add -A rendered/c" in done.stderr


def test_a_file_that_is_no_longer_rendered_is_staged_as_removed(repository: Repository) -> None:
    repository.write("specs/a.yaml", spec_text("name: a\nprefill: {replicas: 1}"))
    repository.render()
    repository.run("git", "add", "specs", "rendered/a/stormservice-a.yaml", "rendered/a/kustomization.yaml",
                   "rendered/a/configmap-a-proxy-config.yaml")  # fmt: skip
    (repository.root / "rendered/a/service-a-prefill-1.yaml").unlink(missing_ok=True)
    done = repository.run("stormc", "render", "--check", "--staged", "specs/a.yaml")
    assert done.returncode == 1 and "E403 staged, and no longer rendered" in done.stderr


def test_a_platform_file_stands_for_its_apps(repository: Repository) -> None:
    repository.write("specs/platform.yaml", PLATFORM + "defaults: {port: 9100}\n")
    done = repository.commit()
    assert (done.returncode, repository.commits()) == (1, 1)
    for app in "ab":
        assert f"change rendered/{app}/stormservice-{app}.yaml" in done.stderr


def test_a_namesake_blocks_the_commit(repository: Repository) -> None:
    repository.write("specs/more/c.yaml", spec_text("name: b\nnamespace: inference"))
    done = repository.commit()
    assert (done.returncode, repository.commits()) == (1, 1)
    assert "E301 app inference/b is also defined in specs/b.yaml" in done.stderr


def test_a_spec_in_another_form_blocks_the_commit_and_is_rewritten(repository: Repository) -> None:
    spec = repository.root / "specs/a.yaml"
    canonical = spec.read_text()
    spec.write_text(canonical.replace("name: a\n", "name: 'a'\n", 1))
    done = repository.commit()
    assert (done.returncode, repository.commits()) == (1, 1)
    assert "files were modified by this hook" in done.stderr
    assert spec.read_text() == canonical


def test_other_files_cost_no_run(repository: Repository) -> None:
    repository.write("notes/specs/a.yaml", "x")
    repository.write("specs/.hidden.yaml", "x")
    done = repository.commit()
    assert (done.returncode, repository.commits()) == (0, 2), done.stdout + done.stderr
    assert done.stderr.count("(no files to check)Skipped") == 3


@pytest.mark.parametrize(
    ("check", "file"), [("validate-manifest", ".pre-commit-hooks.yaml"), ("validate-config", ".pre-commit-config.yaml")]
)
def test_pre_commit_accepts_the_files(check: str, file: str) -> None:
    done = subprocess.run([sys.executable, "-m", "pre_commit", check, str(ROOT / file)], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def test_this_repository_runs_the_hooks_that_it_offers() -> None:
    offered = [hook | {"description": ""} for hook in hooks(".pre-commit-hooks.yaml")]
    own = [hook | {"description": "", "language": "python", "entry": hook["entry"].removeprefix(".venv/bin/")}
           for hook in hooks(".pre-commit-config.yaml")]  # fmt: skip
    assert own == offered
    assert [hook["id"] for hook in own] == ["stormc-validate", "stormc-render", "stormc-fmt"]
    assert all(hook["require_serial"] for hook in own)
