"""The examples in a repository of their own, and what a cluster makes of them: what Argo CD and Flux are tested on."""

from __future__ import annotations

import re
import shlex
import shutil
from datetime import UTC, datetime
from pathlib import Path

from stormc.cluster.kinds import STORM_SERVICE
from tests.e2e.live.cluster import LiveCluster
from tests.e2e.live.commands import kubectl
from tests.e2e.live.control_plane import eventually
from tests.e2e.live.repository import Repository
from tests.e2e.live.watch import Watch

ROOT = Path(__file__).parents[3]
DOCS = (ROOT / "docs/gitops.md").read_text(encoding="utf-8")
FOREIGN = "https://git.example.com/platform/inference.git"
NAMESPACES = ("default", "inference", "staging")
SHARED = ("shared-default", "shared-inference")
APPS = {
    "a2-qwen3-8b": ("inference", "qwen3-8b"), "a3-my-test": ("default", "my-test"),
    "a3-qwen3-moe": ("inference", "qwen3-moe"), "a3-deepseek-v32": ("inference", "deepseek-v32"),
}  # fmt: skip
EDITS = {
    "out": ("a3-my-test", "a3/my-test", "decode:\n", "decode:\n  replicas: 2\n", {"decode": "added"}),
    "in": ("a3-my-test", "a3/my-test", "decode:\n  replicas: 2\n", "decode:\n", {"decode": "removed"}),
    "proxy": ("a3-my-test", "a3/my-test", "port: 8000\n", "port: 8000\nproxy: {maxFailures: 4}\n", {}),
    "routing": ("a2-qwen3-8b", "a2/qwen3-8b", "port: 8000\n", "port: 8000\nproxy: {drainSeconds: 90}\n",
                {"routing": "replaced"}),
}  # fmt: skip
"""Unit, spec, what is replaced by what in it, and what becomes of the pods of which roles (docs/restarts.md)."""


class Site:
    """A cluster, a repository that an engine may sync to it, and all versions of all StormServices."""

    def __init__(self, live: LiveCluster, directory: Path) -> None:
        self.live = live
        for namespace in NAMESPACES:
            live.namespace(namespace)
        self.repository = Repository(directory, live.plane.address)
        shutil.copytree(ROOT / "specs", self.repository.directory / "specs", dirs_exist_ok=True)
        platform = self.repository.directory / "specs/platform.yaml"
        platform.write_text(platform.read_text().replace(FOREIGN, self.repository.url))
        self.repository.commit("The examples")
        self.services = Watch(live.plane, STORM_SERVICE.path(None))

    def close(self) -> None:
        """Deletes what was synced. The engine has ended before."""
        self.services.close()
        self.repository.close()
        for namespace in NAMESPACES:
            label = "app.kubernetes.io/managed-by=stormc"
            kinds = "stormservices,services,configmaps"
            kubectl(self.live.plane, ["delete", kinds, "-n", namespace, "-l", label, "--wait=false"])
        eventually(lambda: not any(self.live.kubelet.pods(namespace) for namespace in NAMESPACES), "pods stay")

    def uids(self, unit: str) -> dict[str, set[str]]:
        """The pods of an app by role."""
        namespace, app = APPS[unit]
        return {role: self.live.uids(namespace, app, role) for role in ("prefill", "decode", "routing")}

    def all_uids(self) -> set[str]:
        """The pods of all apps."""
        return set().union(*(self.live.uids(*app) for app in APPS.values()))


def changes(before: dict[str, set[str]], after: dict[str, set[str]]) -> dict[str, str]:
    """What happened to the pods of the roles in which anything happened."""
    words = {(True, False): "added", (False, True): "removed", (True, True): "replaced"}
    both = {role: (bool(after[role] - before[role]), bool(before[role] - after[role])) for role in before}
    return {role: words[change] for role, change in both.items() if change in words}


def documented(pattern: str) -> list[str]:
    """The words of the one command of docs/gitops.md that matches, without its first."""
    (command,) = re.findall(rf"^kubectl {pattern}$", DOCS, re.M)
    return shlex.split(command)


def shell(command: str) -> list[str]:
    """The words of a command; the time that a shell would put in is put in."""
    return shlex.split(re.sub(r"\$\(date -u \+(.*?)\)", lambda found: datetime.now(UTC).strftime(found[1]), command))
