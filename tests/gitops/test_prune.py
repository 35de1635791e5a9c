"""Before a service leaves the tree, people read what an engine would make of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from stormc.__main__ import main
from tests.gitops.samples import URL
from tests.samples import spec_text

PLATFORM = "apiVersion: stormc.dev/v1\nkind: Platform\n"
ARGOCD = f'gitops: {{argocd: {{repoURL: "{URL}", project: inference}}}}\n'
FLUX = f'gitops: {{flux: {{repoURL: "{URL}"}}}}\n'
BOTH = f'gitops: {{argocd: {{repoURL: "{URL}", project: inference}}, flux: {{repoURL: "{URL}"}}}}\n'

CASES = [
    ("removed", ARGOCD, None, ["Application a3-one and keeps its objects: preserveResourcesOnDeletion",
                               "kubectl delete configmap,service,stormservice -n inference"]),
    ("removed", FLUX, None, ["Kustomization a3-one and keeps its objects: deletionPolicy Orphan"]),
    ("removed", "", None, ["no guard"]),
    ("renamed", ARGOCD, "name: two", ["now inference/two", "preserveResourcesOnDeletion"]),
    ("namespace", ARGOCD, "name: one\nnamespace: other", [
        "now other/one", "Argo CD holds every sync of Application a3-one, new objects included, until somebody",
        "kubectl annotate --overwrite application -n argocd a3-one argocd.argoproj.io/deletion-approved=",
    ]),
    ("namespace", FLUX, "name: one\nnamespace: other", ["Flux keeps the StormService", "deletes the others at once"]),
    ("namespace", BOTH, "name: one\nnamespace: other", ["Argo CD holds every sync", "Flux keeps"]),
    ("namespace", "", "name: one\nnamespace: other", ["no guard"]),
]  # fmt: skip


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "specs/a3").mkdir(parents=True)
    return tmp_path


def write(tree: Path, platform: str, app: str | None) -> None:
    (tree / "specs/platform.yaml").write_text(PLATFORM + platform)
    (tree / "specs/a3/one.yaml").unlink(missing_ok=True)
    if app is not None:
        (tree / "specs/a3/one.yaml").write_text(spec_text(app))


@pytest.mark.parametrize(("change", "platform", "app", "wanted"), CASES)
def test_check_says_what_prune_would_delete_and_what_guards_it(
    change: str, platform: str, app: str | None, wanted: list[str], tree: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(tree, platform, "name: one")
    assert main(["render"]) == 0
    write(tree, platform, app)
    capsys.readouterr()
    assert main(["render", "--check"]) == 1
    printed = capsys.readouterr().out
    assert "prune inference/one: StormService and " in printed
    assert "specs/a3/one.yaml" in printed
    for text in wanted:
        assert text in printed
    assert main(["render"]) == 0
    assert wanted[0] in capsys.readouterr().err
    assert main(["render", "--check"]) == 0
    assert "prune" not in capsys.readouterr().out


def test_a_guard_that_is_not_in_the_cluster_yet_does_not_count(tree: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(tree, "", "name: one")
    main(["render"])
    write(tree, BOTH, "name: one\nnamespace: other")
    main(["render", "--check"])
    printed = capsys.readouterr().out
    assert "Argo CD deletes them at once" in printed and "Flux deletes them at once" in printed


@pytest.mark.parametrize("app", ["name: one\nimage: vllm-ascend:v0.13.0", "name: one\nprefill: {replicas: 1}"])
def test_an_ordinary_change_warns_of_nothing(app: str, tree: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(tree, ARGOCD, "name: one")
    main(["render"])
    write(tree, ARGOCD, app)
    assert main(["render", "--check"]) == 1
    assert "prune" not in capsys.readouterr().out


def test_a_service_that_moves_to_another_directory_stays(tree: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(tree, ARGOCD, "name: one")
    main(["render"])
    (tree / "specs/a2").mkdir()
    (tree / "specs/a3/one.yaml").rename(tree / "specs/a2/one.yaml")
    assert main(["render", "--check"]) == 1
    assert "prune" not in capsys.readouterr().out
