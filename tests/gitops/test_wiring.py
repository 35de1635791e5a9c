"""The wiring selects exactly the app directories, is valid for its engine, and stays small."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from stormc.actions import render
from stormc.emit.schema_check import check_manifest
from stormc.facts.kinds import API_VERSIONS
from stormc.finding import START
from stormc.gitops.files import wiring_files
from stormc.gitops.flux import timeout
from stormc.gitops.schemas import check_schemas
from stormc.gitops.wiring import Request, Wiring, check_wirings, settle_wirings, unit_name
from stormc.model.profile import ArgoCD, Flux, Gitops, Platform
from stormc.model.summary import Summary
from tests.gitops.samples import URL
from tests.samples import compiled, findings, spec_text

ROOT = Path(__file__).parent.parent.parent
REQUEST = f"""
gitops:
  argocd: {{repoURL: "{URL}", project: inference}}
  flux: {{repoURL: "{URL}"}}
"""


def summary(directory: str, namespace: str = "inference", seconds: int = 3600) -> Summary:
    name = directory.rpartition("/")[2]
    return Summary(namespace, name, directory, "atlas-900-a3-superpod", 32, seconds, f"specs/{directory}.yaml", START)


def wired(apps: Iterable[str], asking: Iterable[str] = ("",), path: str = "rendered") -> list[Wiring]:
    requests = [
        Request(
            directory,
            Gitops(ArgoCD(URL, f"project-{number}", path=path), Flux(URL, path=path)),
            f"specs/{directory}/platform.yaml",
            f"specs/{directory}/platform.yaml",
            START,
        )
        for number, directory in enumerate(asking)
    ]
    return settle_wirings(requests, [summary(app) for app in apps])


def objects(made: list[Wiring], kind: str) -> list[dict[str, Any]]:
    documents = [yaml.safe_load(text) for path, text in wiring_files(made).items() if "kustomization.yaml" not in path]
    return [document for document in documents if document["kind"] == kind]


def go_match(pattern: str, path: str) -> bool:
    """Go's path.Match: a star stops at a slash, a backslash quotes."""
    parts = re.findall(r"\\.|.", pattern, flags=re.S)
    made = "".join("[^/]*" if p == "*" else "[^/]" if p == "?" else re.escape(p[-1]) for p in parts)
    assert "[" not in [part for part in parts if len(part) == 1], "character classes are not used"
    return re.fullmatch(made, path, flags=re.S) is not None


def selected(application_set: dict[str, Any], directories: Iterable[str]) -> set[str]:
    """What the git generator makes Applications of (argo-cd applicationset/generators/git.go filterApps)."""
    (generator,) = application_set["spec"]["generators"]
    rules = generator["git"]["directories"]
    hidden = re.compile(r"(^|/)\.")
    found = set()
    for directory in directories:
        matching = [rule.get("exclude", False) for rule in rules if go_match(rule["path"], directory)]
        if matching and not any(matching) and not hidden.search(directory):
            found.add(directory)
    return found


def tree(files: Iterable[str]) -> set[str]:
    """All directories of a repository with these files."""
    return {str(parent) for file in files for parent in Path(file).parents} - {"."}


def directories_of(made: list[Wiring], apps: Iterable[str], path: str = "rendered") -> set[str]:
    rendered = [f"{path}/{app}/kustomization.yaml" for app in apps] + [f"{path}/{file}" for file in wiring_files(made)]
    return tree([*rendered, "specs/a3/app.yaml", "docs/x.md"])


TREES = [
    (["my-test"], [""]),
    (["a2/one", "a3/two", "a3/three"], [""]),
    (["a3/one", "a3/team/two", "a3/team/deep/three"], [""]),
    (["one", "a3/two", "a3/team/two"], ["", "a3"]),
    (["a3/one", "a3/team/two", "a3/team/deep/three"], ["a3", "a3/team"]),
    (["a3/one", "a3/one/two"], ["a3"]),
    (["staging/app", "prod/app", "lab/app"], ["staging", "prod"]),
    (["A_3 [x]*/one", "A_3 [x]*/b?/two", "A_3 xy/three"], ["A_3 [x]*"]),
]


@pytest.mark.parametrize("path", ["rendered", "deploy/rendered"])
@pytest.mark.parametrize(("apps", "asking"), TREES)
def test_each_application_set_selects_its_apps_and_nothing_else(apps: list[str], asking: list[str], path: str) -> None:
    made = wired(apps, asking, path)
    for wiring, application_set in zip(made, objects(made, "ApplicationSet"), strict=True):
        wanted = {f"{path}/{app.directory}" for app in wiring.apps}
        assert selected(application_set, directories_of(made, apps, path)) == wanted


def test_the_committed_application_set_selects_the_committed_apps() -> None:
    rendered = ROOT / "rendered"
    apps = {str(path.parent.relative_to(ROOT)) for path in rendered.rglob("stormservice-*.yaml")}
    shared = {str(path.relative_to(ROOT)) for path in rendered.rglob("_shared/*")}
    everything = {str(found.relative_to(ROOT)) for found in rendered.rglob("*") if found.is_dir()}
    for path in rendered.rglob("applicationset-*.yaml"):
        wanted = shared if path.stem.endswith("-shared") else apps
        assert selected(yaml.safe_load(path.read_text()), {*everything, "rendered", "specs/a3"}) == wanted


names = st.sampled_from(["a", "b", "c"])
paths = st.lists(names, min_size=1, max_size=4).map("/".join)


@given(st.sets(paths, min_size=1, max_size=8), st.sets(paths, max_size=3))
def test_every_app_is_selected_by_the_nearest_wiring_and_by_no_other(apps: set[str], asking: set[str]) -> None:
    made = wired(apps, asking)
    everything = directories_of(made, apps)
    found = [selected(application_set, everything) for application_set in objects(made, "ApplicationSet")]
    claimed = [app for selection in found for app in selection]
    assert len(claimed) == len(set(claimed))
    assert set(claimed) == {f"rendered/{a}" for a in apps if any(a.startswith(f"{d}/") for d in asking)}
    for wiring, selection in zip(made, found, strict=True):
        nearer = [d for d in asking if d.startswith(f"{wiring.directory}/")]
        assert not {app for app in selection if any(app.startswith(f"rendered/{d}/") for d in nearer)}


def test_a_new_app_beside_another_changes_no_byte_for_argocd() -> None:
    def argocd(apps: list[str]) -> dict[str, bytes]:
        return {path: text for path, text in wiring_files(wired(apps)).items() if "/argocd/" in path}

    assert argocd(["a3/one"]) == argocd(["a3/one", "a3/two"])
    assert argocd(["a3/one"]) != argocd(["a3/one", "a2/two"])


@pytest.mark.parametrize(("apps", "asking"), TREES)
def test_every_object_is_valid_for_its_engine(apps: list[str], asking: list[str]) -> None:
    made = wired(apps, asking)
    assert list(check_schemas(made)) == []
    for text in wiring_files(made).values():
        assert check_manifest(yaml.safe_load(text)) == []


def test_flux_syncs_each_app_once_and_waits_longer_than_it_loads() -> None:
    made = wired(["a2/one", "a3/two"])
    root, *apps = sorted(objects(made, "Kustomization"), key=lambda k: k["metadata"]["name"] != "stormc")
    assert root["spec"]["path"] == "./rendered/_gitops/flux/apps"
    assert [app["spec"]["path"] for app in apps] == ["./rendered/a2/one", "./rendered/a3/two"]
    for app in apps:
        (check,) = app["spec"]["healthChecks"]
        assert (check["kind"], check["namespace"]) == ("StormService", "inference")
        assert app["spec"]["prune"] is True
        assert app["spec"]["deletionPolicy"] == "Orphan"
        assert "postBuild" not in app["spec"] and "wait" not in app["spec"]
    assert timeout(summary("a3/two", seconds=1800)) == "45m"
    assert timeout(summary("a3/two", seconds=3 * 1800 + 1)) == "106m"


def test_argocd_keeps_what_loses_its_directory_and_repairs_the_rest() -> None:
    (application_set,) = objects(wired(["a3/one"]), "ApplicationSet")
    spec = application_set["spec"]
    assert spec["syncPolicy"] == {"preserveResourcesOnDeletion": True}
    assert spec["preservedFields"] == {"annotations": ["argocd.argoproj.io/deletion-approved"]}
    template = spec["template"]
    assert template["metadata"]["annotations"] == {
        "argocd.argoproj.io/compare-options": "ServerSideDiff=true",
        "argocd.argoproj.io/manifest-generate-paths": ".",
    }
    policy = template["spec"]["syncPolicy"]
    assert policy["automated"] == {"prune": True, "selfHeal": True}
    assert set(policy["syncOptions"]) == {"ServerSideApply=true", "FailOnSharedResource=true"}
    assert "finalizers" not in template["metadata"]


def test_the_project_permits_what_is_rendered_and_what_becomes_of_it() -> None:
    (project,) = objects(wired(["a3/one"]), "AppProject")
    allowed = {(entry["group"], entry["kind"]) for entry in project["spec"]["namespaceResourceWhitelist"]}
    assert {(version.rpartition("/")[0], kind) for kind, version in API_VERSIONS.items()} < allowed
    assert {("orchestration.aibrix.ai", "RoleSet"), ("", "Pod")} < allowed
    assert {entry["namespace"] for entry in project["spec"]["destinations"]} == {"inference"}


@pytest.mark.parametrize(("directory", "name"), [
    ("a3/my-test", "a3-my-test"), ("my-test", "my-test"), ("Team_A/x.y/my-test", "team-a-x.y-my-test"),
    ("_lab/my-test", "lab-my-test"),
])  # fmt: skip
def test_units_are_named_by_directory(directory: str, name: str) -> None:
    assert unit_name(directory) == name


MISTAKES = [
    (["_gitops/one"], ["", "a3"], "E304"),
    (["a/b-c", "a-b/c"], [""], "E306"),
    (["a/b-c", "a-b/c"], ["a", "a-b"], "E306"),
    (["project-0-wiring"], [""], "E306"),
    (["stormc"], [""], "E306"),
    (["stormc/a3", "a3/one"], ["", "a3"], "E306"),
    (["x" * 40 + "/" + "y" * 23], [""], "E306"),
]


@pytest.mark.parametrize(("apps", "asking", "rule"), MISTAKES)
def test_reserved_taken_and_long_names_are_findings(apps: list[str], asking: list[str], rule: str) -> None:
    found = list(check_wirings(wired(apps, asking), [summary(app) for app in apps]))
    assert {finding.rule for finding in found} == {rule}


def test_a_project_has_one_owner() -> None:
    request = Request("a2", Gitops(ArgoCD(URL, "inference")), "specs/a2/platform.yaml", "specs/a2/platform.yaml", START)
    other = request._replace(directory="a3", file="specs/a3/platform.yaml")
    apps = [summary("a2/one"), summary("a3/two")]
    (finding,) = check_wirings(settle_wirings([request, other], apps), apps)
    assert (finding.rule, finding.file) == ("E305", "specs/a3/platform.yaml")
    assert "specs/a2/platform.yaml" in finding.message
    named = other._replace(gitops=Gitops(ArgoCD(URL, "inference-shared")))
    (finding,) = check_wirings(settle_wirings([request, named], apps), apps)
    assert finding.rule == "E305", "an ApplicationSet of the first project is called inference-shared"
    elsewhere = other._replace(gitops=Gitops(ArgoCD(URL, "inference", namespace="argocd-a3")))
    assert list(check_wirings(settle_wirings([request, elsewhere], apps), apps)) == []


def test_what_apps_share_has_a_name_of_its_own() -> None:
    apps = [summary("shared/inference")._replace(shared=("stormc-launcher",)), summary("one")]
    request = Request("", Gitops(ArgoCD(URL, "p")), "specs/platform.yaml", "specs/platform.yaml", START)
    (finding,) = check_wirings(settle_wirings([request], apps), apps)
    assert (finding.rule, finding.file) == ("E306", "specs/shared/inference.yaml")
    long = [summary("x" * 40 + "/one", namespace="y" * 20)._replace(shared=("stormc-launcher",))]
    request = request._replace(directory="x" * 40)
    findings = list(check_wirings(settle_wirings([request], long), long))
    assert [(f.rule, f.file) for f in findings] == [("E306", "specs/platform.yaml")]


def test_what_apps_share_has_one_owner_where_clusters_have_no_names() -> None:
    request = Request("a2", Gitops(ArgoCD(URL, "a2")), "specs/a2/platform.yaml", "specs/a2/platform.yaml", START)
    other = Request("a3", Gitops(ArgoCD(URL, "a3")), "specs/a3/platform.yaml", "specs/a3/platform.yaml", START)
    apps = [summary(path)._replace(shared=("stormc-launcher",)) for path in ("a2/one", "a3/two")]
    (finding,) = check_wirings(settle_wirings([request, other], apps), apps)
    assert (finding.rule, finding.file) == ("W309", "specs/a3/platform.yaml")
    assert "specs/a2/platform.yaml" in finding.message
    named = [request._replace(cluster="one"), other._replace(cluster="two")]
    same = [each._replace(cluster="one") for each in (request, other)]
    far = [request, other._replace(gitops=Gitops(ArgoCD(URL, "a3", server="https://far:6443")))]
    for requests in (named, same, far):
        assert list(check_wirings(settle_wirings(requests, apps), apps)) == []
    apart = [apps[0], apps[1]._replace(namespace="elsewhere")]
    assert list(check_wirings(settle_wirings([request, other], apart), apart)) == []


PLATFORM_MISTAKES = [
    ("gitops: {argocd: {project: inference}}", "E202"),
    ("gitops: {argocd: {repoURL: 'https://git.example.com/x.git', project: default}}", "E206"),
    ("gitops: {flux: {repoURL: 'git@git.example.com:x.git'}}", "E206"),
    ("gitops: {flux: {repoURL: 'https://git.example.com/x.git', path: ../rendered}}", "E206"),
    ("gitops: {fluxcd: {}}", "E201"),
]


@pytest.mark.parametrize(("platform", "rule"), PLATFORM_MISTAKES)
def test_a_platform_that_asks_wrongly(platform: str, rule: str, tmp_path: Path) -> None:
    found = rendered(tmp_path, {"platform.yaml": platform, "app.yaml": ""}).findings
    assert [finding.rule for finding in found] == [rule]


def rendered(work: Path, files: dict[str, str]) -> Any:
    """The result of a real render of base apps and platform files."""
    for path, text in files.items():
        target = work / "specs" / path
        target.parent.mkdir(parents=True, exist_ok=True)
        platform = f"apiVersion: stormc.dev/v1\nkind: Platform\n{text}"
        target.write_text(platform if path.endswith("platform.yaml") else spec_text(text))
    return render(work / "specs", work / "rendered")


def test_render_writes_updates_and_removes_the_wiring(tmp_path: Path) -> None:
    one = {"a3/platform.yaml": REQUEST, "a3/one.yaml": "name: one"}
    assert rendered(tmp_path, one).plan.writes
    root = tmp_path / "rendered/a3/_gitops"
    assert (root / "flux/apps/kustomization-a3-one.yaml").exists()
    assert "from specs/a3/platform.yaml;" in (root / "argocd/kustomization.yaml").read_text()
    assert rendered(tmp_path, one).plan.is_empty
    again = rendered(tmp_path, {"a3/two.yaml": "name: two\nnamespace: other"})
    assert {path for path in again.plan.writes if "_gitops/argocd" in path} == {
        "a3/_gitops/argocd/wiring/appproject-inference.yaml"
    }
    (tmp_path / "specs/a3/one.yaml").unlink()
    assert "a3/_gitops/flux/apps/kustomization-a3-one.yaml" in rendered(tmp_path, {}).plan.removals
    gone = rendered(tmp_path, {"a3/platform.yaml": "namespace: inference"})
    assert not root.exists() and gone.plan.removals


def test_a_render_of_one_spec_leaves_the_wiring(tmp_path: Path) -> None:
    rendered(tmp_path, {"platform.yaml": REQUEST, "one.yaml": "name: one"})
    (tmp_path / "specs/two.yaml").write_text(spec_text("name: two"))
    chosen = [tmp_path / "specs/two.yaml"]
    result = render(tmp_path / "specs", tmp_path / "rendered", chosen)
    assert result.plan is not None
    assert {path.split("/")[0] for path in result.plan.writes} == {"two"}
    assert (tmp_path / "rendered/_gitops/flux/apps/kustomization-one.yaml").exists()


def test_without_gitops_no_byte_tells_of_engines() -> None:
    assert findings() == []
    for manifest in compiled().manifests:
        assert "argoproj" not in str(manifest) and "fluxcd" not in str(manifest)
    assert wired(["a3/one"], []) == []


def test_the_guards_are_on_the_objects_and_in_no_pod_template() -> None:
    platform = Platform(gitops=Gitops(ArgoCD(URL, "inference"), Flux(URL)))
    for bare, guarded in zip(compiled().manifests, compiled(platform=platform).manifests, strict=True):
        added = guarded["metadata"].get("annotations", {}).items() - bare["metadata"].get("annotations", {}).items()
        assert dict(added) == GUARDS.get(guarded["kind"], {})
        assert {**guarded, "metadata": None} == {**bare, "metadata": None}
        assert guarded["metadata"]["labels"] == bare["metadata"]["labels"]


def test_flux_substitutes_nothing_in_what_looks_like_a_variable() -> None:
    for manifest in compiled(platform=Platform(gitops=Gitops(flux=Flux(URL)))).manifests:
        if "${" in str(manifest):
            assert manifest["metadata"]["annotations"].items() >= VERBATIM.items()


VERBATIM = {"kustomize.toolkit.fluxcd.io/substitute": "disabled"}
GUARDS = {
    "ConfigMap": VERBATIM,
    "StormService": {
        **VERBATIM,
        "kustomize.toolkit.fluxcd.io/prune": "disabled",
        "argocd.argoproj.io/sync-options": "Prune=confirm,Delete=confirm",
    },
}
LIMIT_OF_ETCD = 1_500_000
"""Bytes of one object (etcd --max-request-bytes, 1.5 MiB)."""


def test_five_hundred_apps_stay_within_the_limits() -> None:
    apps = [f"{team}/app-{number}" for team in ("a2", "a3", "prod/chat", "prod/code") for number in range(125)]
    files = wiring_files(wired(apps))
    assert len(files) == 3 + 3 + 3 + 501
    assert max(map(len, files.values())) < LIMIT_OF_ETCD / 20
    assert sum(len(text) for path, text in files.items() if "/argocd/" in path) < 20_000
    assert sum(map(len, files.values())) < 10_000_000 / 4
    largest = compiled("prefill: {replicas: 50}\ndecode: {replicas: 50}")
    assert sum(len(str(manifest)) for manifest in largest.manifests) < 10_000_000 / 10
    assert len(largest.manifests) < 1_000
