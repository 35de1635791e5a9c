"""The image: what the Containerfile says holds, and its protocols work as processes of a bare environment."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from stormc import __version__
from stormc.__main__ import parser
from stormc.failure import Failure
from tests.samples import spec_text
from tools.release import notes, sbom

ROOT = Path(__file__).parents[2]
TEXT = re.sub(r"^#.*\n", "", (ROOT / "Containerfile").read_text(), flags=re.M).replace("\\\n", " ")
INSTRUCTIONS = [line.split(" ", 1) for line in TEXT.splitlines() if line.strip()]
PLUGIN: Any = yaml.safe_load((ROOT / "tools/argocd-plugin.yaml").read_text())
RELEASE: Any = yaml.load((ROOT / ".github/workflows/release.yaml").read_text(), Loader=yaml.BaseLoader)
PAGE = (ROOT / "docs/containers.md").read_text()


def stages() -> dict[str, list[tuple[str, str]]]:
    """The instructions of each stage, those of the stage that it begins with first."""
    found: dict[str, list[tuple[str, str]]] = {}
    name = ""
    for word, rest in INSTRUCTIONS:
        if word == "FROM":
            base, _, name = rest.partition(" AS ")
            found[name] = list(found.get(base, []))
        elif name:
            found[name].append((word, rest))
    return found


@pytest.mark.parametrize(("stage", "entry"), [("stormc", '["stormc"]'), ("krm", '["stormc", "krm"]')])
def test_an_image_starts_stormc_as_a_user_without_rights(stage: str, entry: str) -> None:
    last = dict(stages()[stage])
    assert last["USER"] == "999:999" and last["ENTRYPOINT"] == entry
    assert list(stages())[-1] == "stormc", "what is built without --target"


def test_everything_that_is_copied_is_there_and_not_ignored() -> None:
    kept = {line[1:] for line in (ROOT / ".containerignore").read_text().splitlines() if line.startswith("!")}
    assert (ROOT / ".dockerignore").read_text() == (ROOT / ".containerignore").read_text()
    copied = [
        path for word, rest in INSTRUCTIONS if word == "COPY" and "--from" not in rest for path in rest.split()[:-1]
    ]
    assert len(copied) >= 6
    for path in copied:
        assert (ROOT / path).exists() and any(path == each or path.startswith(f"{each}/") for each in kept), path


def test_packages_are_installed_by_their_hashes_and_nothing_else_is() -> None:
    installs = [rest for word, rest in INSTRUCTIONS if word == "RUN" and "pip install" in rest]
    assert [("--require-hashes" in line, "--no-deps ." in line) for line in installs] == [(True, False), (False, True)]


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A repository as Argo CD sends it to its sidecar: files, no .git."""
    for place in ("staging", "production"):
        (tmp_path / "specs" / place).mkdir(parents=True)
        (tmp_path / "specs" / place / "chat.yaml").write_text(spec_text("name: chat\nmodel: {name: chat}"))
        (tmp_path / "specs" / place / "platform.yaml").write_text(
            f"apiVersion: stormc.dev/v1\nkind: Platform\ncluster: {place}\n"
        )
    return tmp_path


def bare(words: list[str], cwd: Path) -> subprocess.CompletedProcess[str]:
    """A process without home, cache, locale or terminal, as in a sidecar."""
    command = [sys.executable, "-m", *words]
    return subprocess.run(command, cwd=cwd, env={"PATH": "/usr/bin:/bin"}, capture_output=True, text=True)


def test_the_plugin_of_argo_cd_prints_the_manifests_of_the_directory_of_its_application(checkout: Path) -> None:
    done = bare(PLUGIN["spec"]["generate"]["command"], checkout / "specs/staging")
    assert done.returncode == 0, done.stderr
    kinds = [document["kind"] for document in yaml.safe_load_all(done.stdout)]
    assert kinds.count("StormService") == 1 and "Kustomization" not in kinds
    assert not (checkout / "rendered").exists()
    (checkout / "specs/staging/chat.yaml").write_text(spec_text("decode: {dataParallel: 31}"))
    done = bare(PLUGIN["spec"]["generate"]["command"], checkout / "specs/staging")
    assert (done.returncode, done.stdout) == (1, "") and "E036" in done.stderr


def test_the_page_shows_the_plugin_and_commands_that_exist() -> None:
    assert f"plugin: {{name: {PLUGIN['metadata']['name']}}}" in PAGE
    commands = re.findall(r"^ {4}(?:- )?(stormc [^#\n]+)", PAGE, re.M)
    assert len(commands) >= 4
    for command in commands:
        words = command.split()[1:]
        assert parser(words[0]).parse_args(words).verb == words[0]


def test_the_generator_of_the_page_is_rendered() -> None:
    (block,) = [text for text in re.findall(r"```yaml\n(.*?)```", PAGE, re.S) if "a generator of kustomize" in text]
    config = yaml.safe_load(block)
    given = {"apiVersion": "config.kubernetes.io/v1", "kind": "ResourceList", "items": [], "functionConfig": config}
    done = subprocess.run(
        [sys.executable, "-m", "stormc", "krm"], input=yaml.safe_dump(given), capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert "StormService" in {item["kind"] for item in yaml.safe_load(done.stdout)["items"]}


def test_the_step_of_kargo_as_commands(checkout: Path) -> None:
    spec = checkout / "specs/staging/chat.yaml"
    spec.write_text(spec.read_text().replace("v0.12.0rc1", "v0.13.0"))
    promote = ["stormc", "promote", "chat", "--from", "specs/staging", "--to", "specs/production"]
    assert bare(promote, checkout).returncode == 0
    assert bare(["stormc", "render", "--check"], checkout).returncode == 1
    assert bare(["stormc", "render"], checkout).returncode == 0
    assert bare(["stormc", "render", "--check"], checkout).returncode == 0
    assert "v0.13.0" in (checkout / "rendered/production/chat/stormservice-chat.yaml").read_text()


def test_one_environment_runs_the_proxy_of_an_image_and_the_other_stays(checkout: Path) -> None:
    assert bare(["stormc", "render"], checkout).returncode == 0
    before = {p: p.read_bytes() for p in (checkout / "rendered").rglob("*.yaml")}
    (block,) = [text for text in re.findall(r"```yaml\n(.*?)```", PAGE, re.S) if "specs/staging/platform.yaml" in text]
    platform = checkout / "specs/staging/platform.yaml"
    platform.write_text(platform.read_text() + block.split("\n", 1)[1])
    assert bare(["stormc", "render"], checkout).returncode == 0
    after = {p: p.read_bytes() for p in (checkout / "rendered").rglob("*.yaml")}
    changed = {
        p.relative_to(checkout / "rendered").parts[0] for p in {*before, *after} if before.get(p) != after.get(p)
    }
    assert changed == {"staging"}
    service = yaml.safe_load((checkout / "rendered/staging/chat/stormservice-chat.yaml").read_text())
    roles = {role["name"]: role["template"]["spec"] for role in service["spec"]["template"]["spec"]["roles"]}
    (router,) = roles["routing"]["containers"]
    assert router["image"] == "registry.example.com/stormc:0.2.0" and router["command"] == [
        "python3",
        "-m",
        "stormc_proxy",
    ]
    assert "proxy-source" not in str(roles["routing"]) and "workingDir" not in router


def test_the_release_workflow_may_write_where_it_must() -> None:
    assert RELEASE["permissions"] == {} and RELEASE["on"] == {"push": {"tags": ["v*"]}}
    jobs = RELEASE["jobs"]
    writes = {(name, what) for name, job in jobs.items() for what, how in job["permissions"].items() if how == "write"}
    assert writes == {("image", "packages"), ("publish", "contents")}
    assert not [step for step in jobs["publish"]["steps"] if "checkout" in step.get("uses", "")]
    used = {step["uses"] for job in jobs.values() for step in job["steps"] if "uses" in step}
    assert used and all(re.fullmatch(r"[\w-]+/[\w/-]+@(v\d+|[0-9a-f]{40})", action) for action in used)


CHANGELOG = (
    "# Changelog\n\n## 1.3.0, not released\n\n- c\n\n## 1.2.0, 2026-01-31\n\n- b\n\n## 1.1.0, 2026-01-01\n\n- a\n"
)


def test_notes_are_the_section_of_the_tag() -> None:
    assert notes("v1.2.0", CHANGELOG, "1.2.0") == "- b\n"
    for tag, version, told in (
        ("v1.2.0", "1.2.1", "v1.2.1"),
        ("v1.3.0", "1.3.0", "not released"),
        ("v9", "9", "no section"),
    ):
        with pytest.raises(Failure, match=told):
            notes(tag, CHANGELOG, version)


def test_the_sbom_has_every_pinned_package_with_its_hashes() -> None:
    text = (ROOT / ".ci/requirements.txt").read_text()
    document = sbom(text)
    names = {f"{one['name']}=={one['version']}" for one in document["components"]}
    assert names == set(re.findall(r"^[a-z0-9][^ ]*==[^ ]+", text, re.M)) and len(names) > 8
    hashes = [one["value"] for component in document["components"] for one in component["properties"]]
    assert hashes == re.findall(r"sha256:([0-9a-f]{64})", text)
    assert document["metadata"]["component"]["version"] == __version__
