"""Every way in which a repository may ask for wiring: which directories ask, what they say, and where the tree lies."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from tests.e2e.live.cluster import LiveCluster
from tests.e2e.live.repository import Repository
from tests.samples import spec_text

SMALL = """\
prefill: {replicas: 1, dataParallel: 1, tensorParallel: 16}
decode: {podGroupSize: 1, dataParallel: 1, tensorParallel: 16}
"""
"""Three pods."""
WITHOUT_SHARED = "engine: {script: {hostPath: /scripts, command: bash start.sh}}\nproxy: {source: image}\n"


class Layout(NamedTuple):
    """A repository in which platform files of some directories ask for wiring; `apps` by path with their namespaces.

    `units` are the names that the engines give the apps and what they share. `unwired` is an app that no engine knows.
    `settings` are what every platform file says to the engine, by its name, `platform` what it says besides, and
    `overlay` goes into every spec.
    """

    name: str
    apps: Mapping[str, str]
    units: frozenset[str]
    directories: tuple[str, ...] = ("",)
    unwired: str = ""
    settings: Mapping[str, Mapping[str, Any]] = {}
    platform: Mapping[str, Any] = {}
    overlay: str = ""
    branch: str = "main"
    top: str = ""
    password: str = ""


LAYOUTS = (
    Layout(
        "top", {"plain": "top", "a/one": "top", "b/c/two": "top-b"},
        frozenset({"plain", "a-one", "b-c-two", "shared-top", "shared-top-b"}),
    ),
    Layout(
        "below", {"team/three": "below"}, frozenset({"team-three", "team-shared-below"}), ("team",),
        unwired="others/nobodys",
    ),
    Layout(
        "nested", {"n/four": "outer", "n/deep/five": "inner", "n/deep/er/six": "inner"},
        frozenset({"n-four", "n-deep-five", "n-deep-er-six", "shared-outer", "n-deep-shared-inner"}), ("", "n/deep"),
    ),
    Layout(
        "one-cluster", {"eu/seven": "pair", "us/eight": "pair"},
        frozenset({"eu-seven", "us-eight", "eu-shared-pair"}), ("eu", "us"), platform={"cluster": "one"},
    ),
    Layout(
        "odd-names", {"Team_A/v1.2 (old)/nine": "odd", "[x]*/ten": "odd"},
        frozenset({"team-a-v1.2--old--nine", "x---ten", "shared-odd"}),
    ),
    Layout(
        "patterns", {"teams/eleven": "pat-eleven"}, frozenset({"teams-eleven", "shared-pat-eleven"}),
        settings={"argocd": {"destinations": ["pat-*"]}},
    ),
    Layout("subdirectory", {"p/twelve": "sub"}, frozenset({"p-twelve", "shared-sub"}), top="deploy/inference"),
    Layout("branch", {"p/thirteen": "branch"}, frozenset({"p-thirteen", "shared-branch"}), branch="release/1.0"),
    Layout(
        "private", {"p/fourteen": "private"}, frozenset({"p-fourteen", "shared-private"}),
        settings={"flux": {"secret": "git"}}, password="secret",
    ),
    Layout("nothing-shared", {"p/fifteen": "alone"}, frozenset({"p-fifteen"}), overlay=WITHOUT_SHARED),
)  # fmt: skip
"""Two more have tests of their own: an Argo CD in another namespace, and one for several clusters."""


class LaidOut:
    """A layout as a repository, rendered and committed, and the namespaces of its apps."""

    def __init__(self, layout: Layout, engine: str, live: LiveCluster, directory: Path) -> None:
        self.layout, self.engine, self.live = layout, engine, live
        self.repository = Repository(
            directory, live.plane.address, layout.name, branch=layout.branch, top=layout.top, password=layout.password
        )
        for namespace in set(layout.apps.values()):
            live.namespace(namespace)
        for number, below in enumerate(layout.directories):
            self._platform(below, number)
        unwired = {layout.unwired: "default"} if layout.unwired else {}
        for path, namespace in {**layout.apps, **unwired}.items():
            self._write(path, spec_text(f"{SMALL}{layout.overlay}name: {self.app(path)}\nnamespace: {namespace}\n"))
        self.commit = self.repository.commit(f"Layout {layout.name}")

    def _platform(self, below: str, number: int) -> None:
        name = self.layout.name
        own = {"project": f"{name}-{number}"} if self.engine == "argocd" else {"namespace": f"flux-{name}"}
        tree = {"path": f"{self.layout.top}/rendered"} if self.layout.top else {}
        branch = {"revision": self.layout.branch} if self.layout.branch != "main" else {}
        more = self.layout.settings.get(self.engine, {})
        asked = {"repoURL": self.repository.url, **tree, **branch, **own, **more}
        platform = {"apiVersion": "stormc.dev/v1", "kind": "Platform", "gitops": {self.engine: asked}}
        self._write(f"{below}/platform".lstrip("/"), yaml.safe_dump(platform | dict(self.layout.platform)))

    def _write(self, path: str, text: str) -> None:
        file = self.repository.spec(path)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")

    @staticmethod
    def app(path: str) -> str:
        """The name of the app of a spec."""
        return path.rpartition("/")[2]

    @property
    def entries(self) -> Iterator[Path]:
        """The directories that people apply."""
        for below in self.layout.directories:
            yield self.repository.rendered / below / "_gitops" / self.engine

    def until_ready(self) -> None:
        """Until all pods of all apps are ready."""
        for path, namespace in self.layout.apps.items():
            self.live.until_ready(namespace, self.app(path))

    def close(self) -> None:
        """Takes the apps off the cluster, and the repository away."""
        self.repository.close()
        for path, namespace in self.layout.apps.items():
            self.live.remove(namespace, self.app(path))
