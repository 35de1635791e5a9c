"""Argo CD as its manifests install it, without its web server: the programs that decide what is applied."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml

from stormc.cluster.apply import ensure_namespace
from stormc.cluster.kinds import CRD, Kind
from tests.e2e.conftest import CACHE, binary, free_ports
from tests.e2e.live.control_plane import ControlPlane, eventually
from tests.e2e.live.watch import Manifest, Watch

GROUP = "argoproj.io/v1alpha1"
APPLICATION = Kind("Application", GROUP, "applications")
APPLICATION_SET = Kind("ApplicationSet", GROUP, "applicationsets")
PROJECT = Kind("AppProject", GROUP, "appprojects")
CONFIG_MAP, SECRET = Kind("ConfigMap", "v1", "configmaps"), Kind("Secret", "v1", "secrets")
PROGRAMS = ("argocd", "redis-server", "redis-cli", "kustomize", "git", "kubectl")
DEFINITIONS = CACHE / "argocd.yaml"
REFRESH = "argocd.argoproj.io/refresh"
POLL_SECONDS = 3
"""How often Argo CD looks for commits; its default is 120 to 180 s."""
CACHE_VERSION = "1.8.3"
"""Of what Argo CD keeps in Redis (argo-cd common/common.go, CacheVersion)."""
SET_REFRESH = "argocd.argoproj.io/application-set-refresh"


class ArgoCD:
    """One Argo CD that deploys to its own cluster, called https://kubernetes.default.svc there."""

    def __init__(self, plane: ControlPlane, namespace: str = "argocd", poll_seconds: int = POLL_SECONDS) -> None:
        self.plane, self.namespace = plane, namespace
        self._install()
        redis, repositories, *others = free_ports(8)
        self._redis = redis
        self._environment = {
            "KUBECONFIG": str(plane.kubeconfig), "ARGOCD_FAKE_IN_CLUSTER": "true", "ARGOCD_GPG_ENABLED": "false",
            "ARGOCD_RECONCILIATION_TIMEOUT": f"{poll_seconds}s", "ARGOCD_RECONCILIATION_JITTER": "0",
            "ARGOCD_APPLICATIONSET_CONTROLLER_REQUEUE_AFTER": f"{poll_seconds}s",
            "ARGOCD_TLS_DATA_PATH": str(plane.directory), "ARGOCD_SSH_DATA_PATH": str(plane.directory),
            "HOME": str(plane.directory), "PATH": f"{CACHE}:{os.environ['PATH']}",
            "ARGOCD_REPO_SERVER_LISTEN_ADDRESS": "127.0.0.1",
            "ARGOCD_PLUGINSOCKFILEPATH": str(plane.directory / "plugins"),
        }  # fmt: skip
        program = binary("redis-server")
        assert program
        plane.start(f"{namespace}-redis", (program, "--port", str(redis), "--save", "", "--bind", "127.0.0.1"))
        server, heeded = f"127.0.0.1:{repositories}", self._heeds()
        self._start("repo-server", f"--redis=127.0.0.1:{redis}", f"--port={repositories}", "--disable-tls",
                    f"--metrics-port={others[0]}")  # fmt: skip
        self._start("application-controller", f"--redis=127.0.0.1:{redis}", f"--repo-server={server}",
                    "--repo-server-plaintext", f"--namespace={namespace}", f"--metrics-port={others[1]}")  # fmt: skip
        self._start("applicationset-controller", f"--argocd-repo-server={server}", "--repo-server-plaintext",
                    f"--namespace={namespace}", f"--metrics-addr=127.0.0.1:{others[2]}",
                    f"--probe-addr=127.0.0.1:{others[3]}", f"--webhook-addr=127.0.0.1:{others[4]}")  # fmt: skip
        # A change of argocd-cm before that would reach Argo CD's cache with the next change of it only.
        plane.until(lambda: self._heeds() > heeded, "Argo CD heeds no settings")
        self.applications = Watch(plane, f"/apis/{GROUP}/namespaces/{namespace}/applications")

    def _heeds(self) -> int:
        """How often its controller has said, in this cluster, that it heeds changes of its settings from now on."""
        log = self.plane.log(f"{self.namespace}-application-controller")
        return log.read_text(encoding="utf-8").count("subscribed to settings updates") if log.exists() else 0

    def start_plugin(self, definition: Path, programs: Path) -> None:
        """Starts the sidecar that runs a plugin, whose commands are found in a directory; the test run ends it."""
        directory = self.plane.directory / "plugin"
        for each in (directory, self.plane.directory / "plugins"):
            each.mkdir()
        shutil.copy(definition, directory / "plugin.yaml")
        self._environment["PATH"] = f"{programs}:{self._environment['PATH']}"
        self._start("cmp-server", f"--config-dir-path={directory}")

    def stop(self) -> None:
        """Ends its programs; its objects stay."""
        self.applications.close()
        for name in ("applicationset-controller", "application-controller", "repo-server", "redis"):
            self.plane.stop(f"{self.namespace}-{name}")

    def application(self, name: str) -> Manifest:
        """An Application as it is now; empty while it is not there."""
        return self.applications.find(self.namespace, name) or {}

    def until_synced(self, name: str, commit: str, health: str = "Healthy") -> None:
        """Until an Application is in sync with a commit, its operation is over, and its health is the given one."""

        def reached() -> bool:
            status = self.application(name).get("status", {})
            operation = status.get("operationState", {})
            found = (status.get("sync", {}).get("status"), status.get("sync", {}).get("revision"),
                     status.get("health", {}).get("status"), operation.get("phase", "Succeeded"))  # fmt: skip
            return found == ("Synced", commit, health, "Succeeded")

        eventually(reached, lambda: f"{name}: {self.state(name)}")

    def state(self, name: str) -> str:
        """What Argo CD says about an Application, for people."""
        status = self.application(name).get("status", {})
        operation = status.get("operationState", {})
        return yaml.safe_dump({
            "sync": status.get("sync", {}).get("status"), "revision": status.get("sync", {}).get("revision"),
            "health": status.get("health"), "conditions": status.get("conditions"),
            "operation": {key: operation.get(key) for key in ("phase", "message")},
        }, width=1000)  # fmt: skip

    def announce(self, sets: Iterable[str]) -> None:
        """Has ApplicationSets look for new directories, as Argo CD does when its webhook hears of a commit."""
        change = {"metadata": {"annotations": {SET_REFRESH: "true"}}}
        for name in sets:
            path = APPLICATION_SET.path(self.namespace, name)
            self.plane.request("PATCH", path, change, "application/merge-patch+json")

    def tree(self, name: str) -> dict[tuple[str, str], tuple[str, str]]:
        """Health and message of everything in an Application's tree, by kind and name, as people see it."""
        client = binary("redis-cli")
        assert client
        ask = (client, "-p", str(self._redis), "--raw", "get", f"app|resources-tree|{name}|{CACHE_VERSION}.gz")
        cached = subprocess.run(ask, check=True, capture_output=True)
        if not cached.stdout.strip():
            return {}
        found: dict[tuple[str, str], tuple[str, str]] = {}
        for node in json.loads(zlib.decompressobj(wbits=31).decompress(cached.stdout))["nodes"]:
            health = node.get("health", {})
            found[node["kind"], node["name"]] = health.get("status", ""), health.get("message", "")
        return found

    def refresh(self, name: str, how: str = "hard") -> None:
        """Has Argo CD compare an Application anew, rendered anew where that is `hard`; it takes the request away."""
        self.patch(name, {"metadata": {"annotations": {REFRESH: how}}})
        eventually(
            lambda: REFRESH not in self.application(name)["metadata"].get("annotations", {}), f"{name}: no refresh"
        )

    def patch(self, name: str, change: Any) -> None:
        """Changes an Application."""
        path = APPLICATION.path(self.namespace, name)
        self.plane.request("PATCH", path, change, "application/merge-patch+json")

    def _start(self, name: str, *flags: str) -> None:
        program = binary("argocd")
        assert program
        environment = {**self._environment, "ARGOCD_BINARY_NAME": f"argocd-{name}"}
        variables = [f"{key}={value}" for key, value in environment.items()]
        self.plane.start(f"{self.namespace}-{name}", ("env", *variables, program, *flags, "--logformat=text"))

    def _install(self) -> None:
        cluster = self.plane.cluster
        for manifest in yaml.safe_load_all(DEFINITIONS.read_text(encoding="utf-8")):
            cluster.apply(CRD, None, manifest, dry_run=False, force=True)
        self.plane.until(
            lambda: all(cluster.find(kind, "default") is not None for kind in (APPLICATION, APPLICATION_SET, PROJECT)),
            "the API server does not serve Argo CD's kinds",
        )
        ensure_namespace(cluster, self.namespace, dry_run=False)
        labels = {"app.kubernetes.io/part-of": "argocd"}
        for kind, name in ((CONFIG_MAP, "argocd-cm"), (CONFIG_MAP, "argocd-rbac-cm"), (SECRET, "argocd-secret")):
            metadata = {"name": name, "namespace": self.namespace, "labels": {**labels, "app.kubernetes.io/name": name}}
            data = {"stringData": {"server.secretkey": "test"}} if kind is SECRET else {}
            body = {"apiVersion": kind.version, "kind": kind.name, "metadata": metadata, **data}
            cluster.apply(kind, self.namespace, body, dry_run=False, force=False)
        everything = [{"group": "*", "kind": "*"}]
        default = {"sourceRepos": ["*"], "destinations": [{"namespace": "*", "server": "*"}],
                   "clusterResourceWhitelist": everything}  # fmt: skip
        metadata = {"name": "default", "namespace": self.namespace}
        body = {"apiVersion": PROJECT.version, "kind": PROJECT.name, "metadata": metadata, "spec": default}
        cluster.apply(PROJECT, self.namespace, body, dry_run=False, force=False)
