"""What render and render --check say of running pods."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from stormc.__main__ import main
from stormc.actions import render
from stormc.review.effect import What
from tests.samples import spec_text

SHARED = "name: a\nmodel: {name: a}\ndecode: {podGroupSize: 1, dataParallel: 16}"


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An app that was rendered."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "specs").mkdir()
    write("a.yaml", SHARED)
    assert main(["render"]) == 0
    return tmp_path


def write(path: str, overlay: str) -> None:
    Path("specs", path).parent.mkdir(exist_ok=True)
    Path("specs", path).write_text(spec_text(overlay))


def effects(check: bool = True) -> list[tuple[str, What, str]]:
    found = render(Path("specs"), Path("rendered"), check=check).effects
    return [(one.label, one.effect.worst, one.moved_from) for one in found.services]


def test_a_first_render_and_one_without_changes_have_none(root: Path) -> None:
    assert effects() == []
    write("b.yaml", "name: b\nmodel: {name: b}")
    assert effects(check=False) == []
    Path("specs/a.yaml").write_text("# only a comment\n" + Path("specs/a.yaml").read_text())
    assert effects(check=False) == []


def test_the_scale_up_that_restarts_everything_is_told_with_its_way_round(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write("a.yaml", SHARED[:-1] + ", replicas: 3}")
    capsys.readouterr()
    assert main(["render", "--check"]) == 1
    out = capsys.readouterr().out
    assert "inference/a: pods are recreated" in out
    assert re.search(r"prefill: 2 pods recreated .*gang size 3 → 5", out)
    assert "to keep the running pods: minAvailable: 3 in prefill and decode" in out
    assert main(["render"]) == 0
    assert "inference/a: pods are recreated" in capsys.readouterr().err
    assert effects() == []


def test_a_proxy_setting_reloads_and_a_move_is_a_move(root: Path) -> None:
    write("a.yaml", SHARED + "\nproxy: {maxFailures: 5}")
    assert effects(check=False) == [("inference/a", What.RELOADED, "")]
    Path("specs/eu").mkdir()
    Path("specs/a.yaml").rename("specs/eu/a.yaml")
    assert effects(check=False) == [("inference/a", What.NOTHING, "a")]


def test_a_removed_spec_deletes_its_service(root: Path) -> None:
    write("b.yaml", "name: b\nmodel: {name: b}")
    effects(check=False)
    Path("specs/b.yaml").unlink()
    assert effects() == [("inference/b", What.DELETED, "")]


def test_annotations_tell_restarts_as_warnings(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write("a.yaml", SHARED + "\nimage: 'x:v0.12.0rc1'")
    capsys.readouterr()
    main(["render", "--check", "--format", "github"])
    (line,) = [line for line in capsys.readouterr().out.splitlines() if "effect on" in line]
    assert line.startswith("::warning title=effect on inference/a::inference/a: pods are recreated%0A")
