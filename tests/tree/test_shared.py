"""One copy of launcher and proxy per namespace: in its place, complete, and gone when nobody needs it."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from unittest import mock

import pytest
import yaml

from stormc.__main__ import main
from stormc.failure import Failure
from stormc.payload.read import Payload
from stormc.tree.rendered_app import read_manifests
from tests.samples import program, spec_text

PLATFORM = "apiVersion: stormc.dev/v1\nkind: Platform\n"
OLD = Payload(program("launch-old", {"launch.py": "old"}), program("0000000000", {"__init__.py": "old"}))
NEW = Payload(program("launch-new", {"launch.py": "new"}), program("1111111111", {"__init__.py": "new"}))


def spec(path: str, namespace: str = "inference", more: str = "") -> None:
    file = Path("specs") / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(spec_text(f"name: {file.stem}\nnamespace: {namespace}\n{more}"))


def platform(directory: str, project: str, server: str = "") -> None:
    at = f", server: {server!r}" if server else ""
    text = f"{PLATFORM}gitops: {{argocd: {{repoURL: 'https://g/r.git', project: {project}{at}}}}}\n"
    file = Path("specs") / directory / "platform.yaml"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)


def render(*words: str, payload: Payload = OLD) -> int:
    with mock.patch("stormc.actions.rendering.read_payload", return_value=payload):
        return main(["render", *words])


def shared() -> dict[str, list[str]]:
    """The files of every shared directory, without the kustomization; it must list them."""
    places = {}
    for place in sorted(Path("rendered").rglob("_shared/*")):
        names = sorted(path.name for path in place.iterdir())
        listed = yaml.safe_load((place / "kustomization.yaml").read_text())["resources"]
        assert [*listed, "kustomization.yaml"] == names
        places[place.relative_to("rendered").as_posix()] = listed
    return places


LAUNCHER = "configmap-stormc-launcher.yaml"
OLD_PROXY, NEW_PROXY = (f"configmap-stormc-proxy-{each.proxy.version}.yaml" for each in (OLD, NEW))


@pytest.fixture(autouse=True)
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_the_apps_of_a_namespace_share_one_copy() -> None:
    for path, namespace in (("a2/one.yaml", "x"), ("a3/two.yaml", "x"), ("three.yaml", "y")):
        spec(path, namespace)
    assert render() == 0
    assert shared() == {"_shared/x": [LAUNCHER, OLD_PROXY], "_shared/y": [LAUNCHER, OLD_PROXY]}
    assert not [path for path in Path("rendered").rglob("configmap-*-launcher.yaml") if "_shared" not in path.parts]
    objects = [yaml.safe_load(path.read_text()) for path in Path("rendered/_shared/x").glob("configmap-*.yaml")]
    assert {item["metadata"]["namespace"] for item in objects} == {"x"}


def test_a_place_holds_only_what_an_app_mounts() -> None:
    spec("one.yaml", "x", "proxy: {source: image}")
    spec("two.yaml", "y", "engine: {command: [./run]}")
    spec("three.yaml", "z", "engine: {command: [./run]}\nproxy: {source: image}")
    assert render() == 0
    assert shared() == {"_shared/x": [LAUNCHER], "_shared/y": [OLD_PROXY]}


def test_what_a_pod_mounts_is_what_is_shared() -> None:
    spec("team/one.yaml")
    assert render() == 0
    manifests = read_manifests(Path("rendered/team/one"))
    names = {m["metadata"]["name"]: m for m in manifests if m["kind"] == "ConfigMap"}
    for role in next(m for m in manifests if m["kind"] == "StormService")["spec"]["template"]["spec"]["roles"]:
        for volume in role["template"]["spec"]["volumes"]:
            if "configMap" in volume:
                data = names[volume["configMap"]["name"]]["data"]
                assert {item["key"] for item in volume["configMap"].get("items", ())} <= data.keys()


def test_a_selected_render_adds_and_keeps_a_full_one_tidies() -> None:
    for path in ("one.yaml", "two.yaml"):
        spec(path)
    assert render() == 0
    assert render("specs/one.yaml", payload=NEW) == 0
    assert shared() == {"_shared/inference": [LAUNCHER, OLD_PROXY, NEW_PROXY]}
    assert "old" in Path(f"rendered/_shared/inference/{OLD_PROXY}").read_text()
    assert render("--check", "specs/one.yaml", payload=NEW) == 0
    assert render("--check", payload=NEW) == 1, "two.yaml still has the old version"
    for app in ("one", "two"):
        assert read_manifests(Path("rendered") / app)
    assert render(payload=NEW) == 0
    assert shared() == {"_shared/inference": [LAUNCHER, NEW_PROXY]}
    assert render("--check", payload=NEW) == 0


def test_a_selected_render_brings_what_is_missing() -> None:
    for path, namespace in (("one.yaml", "inference"), ("two.yaml", "other")):
        spec(path, namespace)
    assert render("specs/two.yaml") == 0
    assert shared() == {"_shared/other": [LAUNCHER, OLD_PROXY]}
    Path(f"rendered/_shared/other/{OLD_PROXY}").unlink()
    assert render("--check", "specs/two.yaml") == 1
    assert render("specs/two.yaml") == 0 and render("--check", "specs/two.yaml") == 0


def test_the_last_app_takes_the_directory_along() -> None:
    for path, namespace in (("one.yaml", "x"), ("two.yaml", "y")):
        spec(path, namespace)
    assert render() == 0
    Path("specs/two.yaml").unlink()
    assert render() == 0
    assert list(shared()) == ["_shared/x"]


def test_an_app_without_its_share_is_one_line() -> None:
    spec("one.yaml")
    assert render() == 0
    Path(f"rendered/_shared/inference/{OLD_PROXY}").unlink()
    with pytest.raises(Failure, match="mounts ConfigMap stormc-proxy-0000000000, which no _shared directory above"):
        read_manifests(Path("rendered/one"))


def test_scopes_are_where_the_wiring_is_declared() -> None:
    for directory, project in (("", "root"), ("a3", "a3"), ("a3/prod", "prod")):
        platform(directory, project)
    for path, namespace in (
        ("one.yaml", "x"),
        ("a3/two.yaml", "x"),
        ("a3/prod/three.yaml", "y"),
        ("a2/four.yaml", "z"),
    ):
        spec(path, namespace)
    assert render() == 0
    assert list(shared()) == ["_shared/x", "_shared/z", "a3/_shared/x", "a3/prod/_shared/y"]


def test_one_owner_where_two_wirings_name_one_cluster() -> None:
    for directory, host in (("a2", "c"), ("a3", "c"), ("lab", "lab")):
        platform(directory, f"project-{directory}", f"https://{host}:6443")
    for path in ("a2/one.yaml", "a3/two.yaml", "lab/three.yaml"):
        spec(path, "x")
    spec("a3/four.yaml", "y")
    assert render() == 0
    assert list(shared()) == ["a2/_shared/x", "a2/_shared/y", "lab/_shared/x"]
    assert len(read_manifests(Path("rendered/a3/two"))) == len(read_manifests(Path("rendered/a2/one")))
    project = yaml.safe_load(next(Path("rendered/a2/_gitops").rglob("appproject-*")).read_text())
    assert [entry["namespace"] for entry in project["spec"]["destinations"]] == ["x", "y"]


def test_no_app_in_the_shared_directory(capsys: pytest.CaptureFixture[str]) -> None:
    spec("_shared/one.yaml")
    assert render() == 1
    assert "E304 renders into _shared/one/, but _shared is where apps have what they share" in capsys.readouterr().err


def documents(where: str) -> dict[str, Any]:
    found = [yaml.safe_load(path.read_text()) for path in Path("rendered").rglob(f"{where}/**/*.yaml")]
    return {f"{item['kind']} {item['metadata']['name']}": item for item in found if "metadata" in item}


def test_both_engines_sync_what_is_shared() -> None:
    text = "gitops: {argocd: {repoURL: 'https://g/r.git', project: p}, flux: {repoURL: 'https://g/r.git'}}\n"
    Path("specs").mkdir()
    Path("specs/platform.yaml").write_text(PLATFORM + text)
    for path, namespace in (("one.yaml", "x"), ("team/two.yaml", "y")):
        spec(path, namespace)
    spec("none.yaml", "z", "engine: {command: [./run]}\nproxy: {source: image}")
    assert render() == 0
    made = documents("_gitops")
    assert made["AppProject p"]["metadata"]["annotations"] == {"argocd.argoproj.io/sync-wave": "-1"}
    for name in ("p-shared", "p"):  # a wave of theirs would end where one of them is Degraded
        assert "annotations" not in made[f"ApplicationSet {name}"]["metadata"]
    assert made["Kustomization shared-x"]["spec"]["path"] == "./rendered/_shared/x"
    first = {name: made[f"Kustomization {name}"]["spec"].get("dependsOn") for name in ("one", "team-two", "none")}
    names = {name: [each["name"] for each in needed] for name, needed in first.items()}
    assert names == {"one": ["stormc", "shared-x"], "team-two": ["stormc", "shared-y"], "none": ["stormc"]}
    for waited_for in ("stormc", "shared-x", "shared-y"):
        assert not made[f"Kustomization {waited_for}"]["spec"].keys() & {"dependsOn", "healthChecks"}
    annotations = documents("_shared")["ConfigMap stormc-launcher"]["metadata"]["annotations"]
    assert annotations["argocd.argoproj.io/sync-options"] == "Prune=false"
    assert annotations["kustomize.toolkit.fluxcd.io/prune"] == "disabled"


def test_destinations_with_a_star_hold_what_is_shared_too() -> None:
    Path("specs").mkdir()
    more = "argocd: {repoURL: 'https://g/r.git', project: p, destinations: ['inf*']}"
    Path("specs/platform.yaml").write_text(f"{PLATFORM}gitops: {{{more}}}\n")
    spec("one.yaml")
    assert render() == 0
    project = documents("_gitops")["AppProject p"]
    assert [entry["namespace"] for entry in project["spec"]["destinations"]] == ["inf*"]
    assert (
        documents("_gitops")["ApplicationSet p"]["spec"]["template"]["spec"]["destination"]["namespace"] == "inference"
    )
