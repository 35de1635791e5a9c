"""Specs in, manifests out, nothing written: --stdout, standard input, --diff, --strict."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from stormc.__main__ import main
from tests.samples import spec_text

PLATFORM = "apiVersion: stormc.dev/v1\nkind: Platform\nnamespace: inference\n"
WARNED = "decode: {volumes: [{name: host, mountPath: /host, hostPath: /opt/x}]}\n"


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    write("staging/a")
    write("b")
    Path("specs/staging/platform.yaml").write_text(f"{PLATFORM}cluster: staging\n")
    return tmp_path


def write(name: str, overlay: str = "") -> None:
    path = Path("specs", f"{name}.yaml")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(spec_text(f"name: {path.stem}\nmodel: {{name: {path.stem}}}\n{overlay}"))


def stormc(*words: str, given: str | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "stormc", *words], input=given, capture_output=True, text=True)


def manifests(text: str) -> list[dict[str, object]]:
    return list(yaml.safe_load_all(text))


def test_stdout_has_what_render_writes_and_writes_nothing(root: Path) -> None:
    done = stormc("render", "--stdout")
    assert (done.returncode, done.stderr) == (0, "") and not (root / "rendered").exists()
    assert main(["render"]) == 0
    written = [
        yaml.safe_load(path.read_text())
        for path in (root / "rendered").rglob("*.yaml") if path.name != "kustomization.yaml"
    ]  # fmt: skip
    shared = [m for m in written if m["metadata"]["labels"].get("app.kubernetes.io/component") == "payload"]
    printed = manifests(done.stdout)
    assert len(printed) == len(written) - len(shared) // 2, "two clusters share a namespace here, so once is enough"
    assert all(manifest in written for manifest in printed)
    assert [m["kind"] for m in printed[:2]] == ["ConfigMap", "ConfigMap"], "what pods mount comes first"


def test_a_chosen_spec_is_streamed_alone(root: Path) -> None:
    done = stormc("render", "--stdout", "specs/staging/a.yaml")
    names = {m["metadata"]["name"] for m in manifests(done.stdout) if m["kind"] == "StormService"}  # type: ignore[index]
    assert names == {"a"}


def test_standard_input_stands_where_its_file_is_said_to(root: Path) -> None:
    text = (root / "specs/staging/a.yaml").read_text().replace("namespace: inference\n", "")
    (root / "specs/staging/platform.yaml").write_text(f"{PLATFORM.replace('inference', 'other')}")
    there = stormc("render", "--stdout", "-", "--stdin-filename", "specs/staging/a.yaml", given=text)
    alone = stormc("render", "--stdout", "-", given=text)
    spaces = [{m["metadata"]["namespace"] for m in manifests(done.stdout)} for done in (there, alone)]  # type: ignore[index]
    assert spaces == [{"other"}, {"default"}]
    assert stormc("validate", "-", given=text).stdout == ""


def test_standard_input_is_checked_as_a_file_is(root: Path) -> None:
    wrong = spec_text("decode: {dataParallel: 31}")
    done = stormc("validate", "-", "--stdin-filename", "specs/staging/new.yaml", given=wrong)
    assert done.returncode == 1 and "specs/staging/new.yaml:" in done.stdout and "E036" in done.stdout
    done = stormc("render", "-", "--stdout", given=wrong)
    assert (done.returncode, done.stdout) == (1, "") and "<stdin>:" in done.stderr
    twin = stormc("validate", "-", "--stdin-filename", "specs/c.yaml", given=(root / "specs/b.yaml").read_text())
    assert "E301" in twin.stdout


def test_without_a_specs_directory_standard_input_will_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    done = stormc("render", "--stdout", "-", given=spec_text())
    assert done.returncode == 0 and "kind: StormService" in done.stdout


REFUSED = [
    (("render", "-"), "give --stdout"),
    (("render", "--stdout", "--check"), "--stdout writes no files"),
    (("render", "--stdin-filename", "x"), "--stdin-filename goes with -"),
    (("render", "--stdout", "-", "--stdin-filename", "/elsewhere.yaml"), "is not below specs"),
    (("validate", "-", "specs/b.yaml"), "- is the only spec"),
]


@pytest.mark.parametrize(("words", "told"), REFUSED)
def test_what_does_not_go_together_is_said(root: Path, words: tuple[str, ...], told: str) -> None:
    done = stormc(*words, given=spec_text())
    assert done.returncode == 2 and told in done.stderr


@pytest.mark.parametrize("given", ["", "\x00", "[", "a: 1\n---\nb: 2\n", "é" * 700_000])
def test_no_input_ends_in_a_traceback(root: Path, given: str) -> None:
    done = stormc("validate", "-", given=given)
    assert done.returncode == 1 and "Traceback" not in done.stderr and "<stdin>:" in done.stdout


def test_diff_shows_lines_that_git_applies(root: Path) -> None:
    assert main(["render"]) == 0
    write("b", "port: 9000")
    (root / "specs/staging/a.yaml").unlink()
    done = stormc("render", "--diff")
    assert done.returncode == 1 and "--- a/rendered/b/stormservice-b.yaml" in done.stdout
    assert "--- a/rendered/staging/a/kustomization.yaml\n+++ /dev/null" in done.stdout
    (root / "only.patch").write_text(done.stdout.partition("prune inference/a")[0])
    applied = subprocess.run(["git", "apply", "--check", "-p1", "only.patch"], capture_output=True, text=True)
    assert applied.returncode == 0, applied.stderr
    assert stormc("render", "--check").stdout.count("change rendered/b/") > 0


def test_strict_counts_warnings(root: Path) -> None:
    assert stormc("validate").returncode == 0 and stormc("validate", "--strict").returncode == 0
    write("b", WARNED)
    warned = stormc("validate")
    assert warned.returncode == 0 and "W" in warned.stdout
    assert stormc("validate", "--strict").returncode == 1
    done = stormc("render", "--strict")
    assert done.returncode == 1 and not (root / "rendered").exists()
    assert stormc("render", "--stdout", "--strict").returncode == 1
    assert stormc("render").returncode == 0
