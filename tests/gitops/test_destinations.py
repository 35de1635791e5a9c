"""Every destination that is rendered is one that the rendered AppProject allows, judged as Argo CD judges it.

The rule is that of argo-cd pkg/apis/application/v1alpha1/types.go (AppProject.IsDestinationPermitted): one entry has to
match server (or name) and namespace, each a glob, and no entry that starts with '!' may; an empty namespace is matched
like any other text. Applications of `default`, the project that every Argo CD has, may go anywhere.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from stormc.finding import START
from stormc.gitops.files import wiring_files
from stormc.gitops.wiring import Request, Wiring, settle_wirings
from stormc.model.profile import ArgoCD, Gitops
from stormc.model.summary import Summary

URL = "https://git.example.com/platform/inference.git"
CLUSTERS = {"": "https://kubernetes.default.svc", "a3": "https://a3.example.com:6443", "a3/prod": "https://prod:6443"}

Destination = Mapping[str, str]


def matches(entry: Destination, destination: Destination) -> bool:
    """Whether one entry of a project, without its '!', holds a destination."""
    by_server = "server" in entry and fnmatchcase(destination.get("server", ""), entry["server"].removeprefix("!"))
    by_name = "name" in entry and fnmatchcase(destination.get("name", ""), entry["name"].removeprefix("!"))
    namespace = fnmatchcase(destination.get("namespace", ""), entry.get("namespace", "").removeprefix("!"))
    return (by_server or by_name) and namespace


def permitted(destination: Destination, entries: Sequence[Destination]) -> bool:
    """Whether a project with these destinations lets an Application go to one."""
    denied = [entry for entry in entries if any(value.startswith("!") for value in entry.values())]
    allowed = [entry for entry in entries if entry not in denied]
    return any(matches(e, destination) for e in allowed) and not any(matches(e, destination) for e in denied)


@pytest.mark.parametrize(("destination", "entries", "expected"), [
    ({"server": "https://a", "namespace": "x"}, [{"server": "https://a", "namespace": "x"}], True),
    ({"server": "https://a"}, [{"server": "https://a", "namespace": "x"}], False),
    ({"server": "https://a"}, [{"server": "https://a", "namespace": ""}], True),
    ({"server": "https://a"}, [{"server": "https://a", "namespace": "*"}], True),
    ({"server": "https://a", "namespace": "y"}, [{"server": "https://a", "namespace": "x"}], False),
    ({"server": "https://b", "namespace": "x"}, [{"server": "https://a", "namespace": "x"}], False),
    ({"name": "in-cluster", "namespace": "x"}, [{"name": "*", "namespace": "x"}], True),
    ({"server": "https://a", "namespace": "x"}, [{"server": "*", "namespace": "*"},
                                                {"server": "https://a", "namespace": "!x"}], False),
])  # fmt: skip
def test_the_oracle_refuses_what_argocd_refuses(
    destination: Destination, entries: list[Destination], expected: bool
) -> None:
    assert permitted(destination, entries) is expected


def wired(apps: Mapping[str, str], asking: Sequence[str]) -> list[Wiring]:
    """The wirings of apps given as directory and namespace, each request with a cluster and project of its own."""
    requests = [
        Request(d, Gitops(ArgoCD(URL, f"project-{n}", server=CLUSTERS.get(d, "https://other")), None), "", "", START)
        for n, d in enumerate(asking)
    ]
    summaries = [
        Summary(
            namespace,
            directory.rpartition("/")[2],
            directory,
            "atlas-800i-a2",
            8,
            3600,
            directory,
            START,
            shared=("stormc-launcher",),
        )
        for directory, namespace in apps.items()
    ]
    return settle_wirings(requests, summaries)


def applications(spec: Mapping[str, Any], shared: Sequence[str]) -> list[dict[str, Any]]:
    """What an ApplicationSet makes: one for apps whatever their directory, and one per shared directory it selects."""
    template = spec["template"]["spec"]
    if template["destination"]["namespace"] != "{{ .path.basename }}":
        return [template]
    pattern = spec["generators"][0]["git"]["directories"][0]["path"]
    selected = [path for path in shared if f"rendered/{path}".rpartition("/")[0] == pattern.removesuffix("/*")]
    destination = template["destination"]
    return [{**template, "destination": {**destination, "namespace": path.rpartition("/")[2]}} for path in selected]


def refused(made: Sequence[Wiring], apps: Mapping[str, str]) -> list[str]:
    """What Argo CD would refuse of these wirings: Applications, and objects of their apps."""
    documents = [yaml.safe_load(text) for path, text in wiring_files(list(made)).items() if path.endswith(".yaml")]
    objects: list[dict[str, Any]] = [document for document in documents if document.get("kind")]
    projects = {
        item["metadata"]["name"]: item["spec"]["destinations"] for item in objects if item["kind"] == "AppProject"
    }
    specs = [item["spec"] for item in objects if item["kind"] == "Application"]
    for item in (item for item in objects if item["kind"] == "ApplicationSet"):
        specs += applications(item["spec"], [place.directory for wiring in made for place in wiring.shared])
    problems = [
        f"{spec['destination']} in {spec['project']}"
        for spec in specs
        if spec["project"] != "default" and not permitted(spec["destination"], projects[spec["project"]])
    ]
    for wiring in made:
        assert wiring.request.gitops.argocd
        settings = wiring.request.gitops.argocd
        for app in wiring.apps:
            target = {"server": settings.server, "namespace": apps[app.directory]}
            if not permitted(target, projects[settings.project]):
                problems.append(f"{app.directory} to {target}")
    return problems


LAYOUTS: list[tuple[dict[str, str], list[str]]] = [
    ({"chat": "inference"}, [""]),
    ({"a2/one": "team-b", "a3/two": "team-a", "a3/three": "inference"}, [""]),
    ({"a2/one": "inference", "a3/two": "inference", "a3/prod/three": "prod"}, ["", "a3", "a3/prod"]),
    ({"a3/one": "x", "a3/prod/one": "y"}, ["a3", "a3/prod"]),
    ({"a3/one": "x", "lab/two": "y"}, ["a3"]),
]


@pytest.mark.parametrize(("apps", "asking"), LAYOUTS)
def test_argocd_refuses_no_destination(apps: dict[str, str], asking: list[str]) -> None:
    assert any(wiring.shared for wiring in wired(apps, asking))
    assert refused(wired(apps, asking), apps) == []


NAMES = st.sampled_from(["a", "b", "c"])
DIRECTORIES = st.lists(NAMES, min_size=1, max_size=4).map("/".join)


@given(
    st.dictionaries(DIRECTORIES, st.sampled_from(["inference", "team-a", "zeta"]), min_size=1, max_size=8),
    st.lists(st.one_of(st.just(""), DIRECTORIES), max_size=4, unique=True),
)
def test_argocd_refuses_no_destination_of_any_tree(apps: dict[str, str], asking: list[str]) -> None:
    assert refused(wired(apps, asking), apps) == []
