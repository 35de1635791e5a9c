"""Two clusters in one repository: the same namespace and name in both, and no command that takes one for the other."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
import yaml

from stormc.__main__ import main
from stormc.actions import render
from stormc.cluster.rendered import choose_app, only_app, rendered_apps
from stormc.failure import Failure
from stormc.finding import Finding
from stormc.repository.namesakes import check_namesakes
from tests.gitops.samples import URL
from tests.samples import compile_in, repository, spec_text

PLATFORM = "apiVersion: stormc.dev/v1\nkind: Platform\n"
IN_CLUSTER = "https://kubernetes.default.svc"


def argocd(project: str, server: str = "") -> str:
    where = f', server: "{server}"' if server else ""
    return f'gitops: {{argocd: {{repoURL: "{URL}", project: {project}, destinations: [inference]{where}}}}}\n'


FLUX = f'gitops: {{flux: {{repoURL: "{URL}", serviceAccount: stormc}}}}\n'
A, B = "https://a.example.com:6443", "https://b.example.com:6443"

NAMESAKES = [
    ("", "", "E301"),
    ("cluster: a\n", "cluster: a\n", "E301"),
    ("cluster: a\n", "cluster: b\n", ""),
    ("cluster: a\n", "", "E301"),
    (argocd("x", A), argocd("y", B), ""),
    (argocd("x", A), argocd("y", A), "E301"),
    (argocd("x"), argocd("y", B), ""),
    (argocd("x"), argocd("y"), "E301"),
    (argocd("x") + "cluster: a\n", argocd("y") + "cluster: b\n", ""),
    (argocd("x", A) + "cluster: a\n", argocd("y", B) + "cluster: a\n", "E301"),
    (FLUX, FLUX, "E301"),
    (FLUX + "cluster: a\n", FLUX + "cluster: b\n", ""),
]


def findings(files: dict[str, str]) -> list[Finding]:
    made = repository(files)
    summaries = [compile_in(made, source).summary for source in made.apps]
    return check_namesakes([summary for summary in summaries if summary is not None])


@pytest.mark.parametrize(("staging", "production", "rule"), NAMESAKES)
def test_an_app_is_one_per_cluster(staging: str, production: str, rule: str) -> None:
    found = findings({
        "production/chat.yaml": spec_text(), "production/platform.yaml": PLATFORM + production,
        "staging/chat.yaml": spec_text(), "staging/platform.yaml": PLATFORM + staging,
    })  # fmt: skip
    assert [f.rule for f in found] == ([rule] if rule else [])


def test_the_hint_names_the_way_out_where_nothing_tells_the_clusters_apart() -> None:
    apps = {"production/chat.yaml": spec_text(), "staging/chat.yaml": spec_text()}
    (unknown,) = findings(apps)
    assert "cluster: in the platform file of each" in unknown.hint
    both = {f"{place}/platform.yaml": f"{PLATFORM}cluster: one\n" for place in ("production", "staging")}
    (known,) = findings(apps | both)
    assert "cluster:" not in known.hint


def write(root: Path, path: str, text: str) -> None:
    (root / path).parent.mkdir(parents=True, exist_ok=True)
    (root / path).write_text(text)


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """inference/chat in staging and in production, rendered and committed."""
    monkeypatch.chdir(tmp_path)
    for place in ("staging", "production"):
        write(tmp_path, f"specs/{place}/chat.yaml", spec_text("name: chat"))
        write(tmp_path, f"specs/{place}/platform.yaml", f"{PLATFORM}cluster: {place}\n")
    assert main(["render"]) == 0
    subprocess.run("git init -q -b main; git add -A; git -c user.name=t -c user.email=t@e commit -qm one",
                   shell=True, check=True)  # fmt: skip
    return tmp_path


def test_each_cluster_has_what_its_apps_share(root: Path) -> None:
    shared = {path.parent.relative_to(root / "rendered").as_posix() for path in root.glob("rendered/**/configmap-*")}
    assert {"staging/_shared/inference", "production/_shared/inference"} <= shared
    assert "_shared/inference" not in shared


@pytest.mark.parametrize(("staging", "production"), [
    (argocd("x", A), argocd("y", B)), (argocd("x") + "cluster: a\n", argocd("y") + "cluster: b\n"),
    (FLUX + "cluster: a\n", FLUX + "cluster: b\n"),
])  # fmt: skip
def test_each_wiring_has_what_its_apps_share(root: Path, staging: str, production: str) -> None:
    write(root, "specs/staging/platform.yaml", PLATFORM + staging)
    write(root, "specs/production/platform.yaml", PLATFORM + production)
    assert main(["render"]) == 0
    places = {path.relative_to(root / "rendered").as_posix() for path in root.glob("rendered/**/_shared/*")}
    assert places == {"staging/_shared/inference", "production/_shared/inference"}
    for path in root.glob("rendered/*/_gitops/argocd/wiring/applicationset-*.yaml"):
        place = path.relative_to(root / "rendered").parts[0]
        text = path.read_text()
        server = yaml.safe_load(text)["spec"]["template"]["spec"]["destination"]["server"]
        assert server in ((A, B)[place == "production"], IN_CLUSTER)
        assert f"rendered/{place}/" in text and f"rendered/{({'staging', 'production'} - {place}).pop()}/" not in text


def test_a_wiring_deploys_to_one_cluster(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(root, "specs/platform.yaml", PLATFORM + argocd("x"))
    capsys.readouterr()
    assert main(["render", "--check"]) == 1
    printed = capsys.readouterr()
    assert printed.err.count("E308") == 2 and "specs/staging/platform.yaml:3:10: E308" in printed.err


def test_an_app_that_leaves_one_cluster_is_not_kept_by_its_namesake(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (root / "specs/staging/chat.yaml").unlink()
    write(root, "specs/production/chat.yaml", spec_text("name: chat\nimage: vllm-ascend:v0.13.0"))
    capsys.readouterr()
    assert main(["render", "--check"]) == 1
    out = capsys.readouterr().out
    assert "prune inference/chat: StormService and" in out and "(specs/staging/chat.yaml)" in out
    assert "inference/chat on production: " in out


def test_a_spec_that_moves_to_the_other_cluster_leaves_the_first(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (root / "specs/production/chat.yaml").unlink()
    assert main(["render"]) == 0
    (root / "specs/staging/chat.yaml").rename(root / "specs/production/chat.yaml")
    capsys.readouterr()
    assert main(["render", "--check"]) == 1
    assert "prune inference/chat: StormService and" in capsys.readouterr().out


def test_both_change_and_each_is_told(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for place in ("staging", "production"):
        write(root, f"specs/{place}/chat.yaml", spec_text("name: chat\nimage: vllm-ascend:v0.13.0"))
    effects = render(Path("specs"), Path("rendered"), check=True).effects.services
    assert {one.label for one in effects} == {"inference/chat on staging", "inference/chat on production"}
    assert not any(one.moved_from for one in effects)
    capsys.readouterr()
    assert main(["diff", "--base", "HEAD", "inference/chat"]) == 0
    out = capsys.readouterr().out
    assert "inference/chat on staging: changed (specs/staging/chat.yaml)" in out
    assert "inference/chat on production: changed (specs/production/chat.yaml)" in out
    assert main(["what-if", "chat"]) == 2
    assert "name one of production/chat, staging/chat" in capsys.readouterr().err
    assert main(["what-if", "staging/chat"]) == 0


def test_cluster_commands_ask_which(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rendered = Path("rendered")
    apps = rendered_apps(rendered)
    assert {name: list(places) for name, places in apps.items()} == {
        ("inference", "chat"): ["production/chat", "staging/chat"]
    }
    with pytest.raises(Failure, match=r"several clusters.*--rendered rendered/staging"):
        only_app(rendered, apps["inference", "chat"])
    with pytest.raises(Failure, match="several clusters"):
        choose_app(rendered, apps, "chat", None)
    space, name, manifests = choose_app(rendered, apps, "staging/chat", None)
    assert (space, name) == ("inference", "chat") and manifests == apps["inference", "chat"]["staging/chat"]
    assert choose_app(Path("rendered/staging"), rendered_apps(Path("rendered/staging")), "chat", None)[2]
    assert main(["deploy", "chat", "--dry-run"]) == 2
    assert "ambiguous: production/chat and staging/chat" in capsys.readouterr().err
    assert main(["deploy", "staging/chat", "--dry-run"]) == 0
    assert "in inference: would be applied" in capsys.readouterr().out
