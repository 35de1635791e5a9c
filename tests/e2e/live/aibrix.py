"""AIBrix as its release installs it: definitions, roles, webhooks; its program runs beside the API server."""

from __future__ import annotations

import base64
import os
import shutil
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from stormc.cluster.kinds import WEBHOOKS, Kind
from stormc.facts.limits import AIBRIX_RELEASES
from stormc.load.releases import AIBrix as Facts
from stormc.load.releases import aibrix as facts_of
from stormc.load.releases import version
from tests.e2e.conftest import CACHE
from tests.e2e.live.control_plane import ControlPlane

NAMESPACE, NAME = "aibrix-system", "aibrix"
WEBHOOK = "mstormservice.kb.io"
CALLED, PASSED_OVER = "apiserver_admission_webhook_request_total", "apiserver_admission_webhook_fail_open_count"
WEBHOOK_SERVICE, WEBHOOK_SECRET, WEBHOOK_PORT = "aibrix-webhook-service", "aibrix-webhook-server-cert", 9443
SERVING_CERTS = Path("/tmp/k8s-webhook-server/serving-certs")
"""Where AIBrix waits for its certificate (pkg/cert/cert.go); `tests/e2e/own_network.sh` gives it a directory alone."""
DISABLED = ("distributed-inference-controller", "model-route-controller")
"""Controllers that need the definitions of Ray and of the Gateway API."""


class Release(NamedTuple):
    """A release of AIBrix: its program, and what it installs. `version` is what a platform file says."""

    label: str
    version: tuple[int, ...]
    program: Path
    manifests: Path

    @property
    def known(self) -> str:
        """What a platform file says: this release, or the newest known one before it."""
        return [release for release in AIBRIX_RELEASES if version(release) <= self.version][-1]

    @property
    def facts(self) -> Facts:
        """What stormc knows of the release."""
        return facts_of(self.known)


def releases() -> list[Release]:
    """The releases in the cache, and the program of STORMC_E2E_AIBRIX, whose label is its file name."""
    cached = [CACHE / "aibrix-v0.6.0", CACHE / "aibrix-v0.7.0"]
    own = [Path(path) for path in (os.environ.get("STORMC_E2E_AIBRIX"),) if path]
    return [
        Release(program.name.removeprefix("aibrix-"), _version(program.name), program, manifests)
        for program in (*own, *cached)
        if program.exists() and (manifests := _manifests(program)).exists()
    ]


def _version(name: str) -> tuple[int, ...]:
    numbers = name.rpartition("v")[2].split(".")
    return tuple(int(number) for number in numbers if number.isdecimal()) or (0, 5)


def _manifests(program: Path) -> Path:
    """A release's own manifests; the definitions of v0.5.0 to v0.7.0 are the same."""
    own = CACHE / f"{program.name}.yaml"
    return own if own.exists() else CACHE / "aibrix-v0.6.0.yaml"


class AIBrix:
    """The controller of one release at a time, its webhook called by the API server."""

    def __init__(self, plane: ControlPlane) -> None:
        self.plane = plane
        self.release: Release | None = None

    def run(self, release: Release) -> None:
        """Installs a release and starts its controller in the place of the one before."""
        if self.release is not None:
            self.plane.stop(NAME)
        self.release = release
        for kind, manifest in sorted(objects(release.manifests), key=lambda pair: _order(pair[1])):
            namespace = manifest["metadata"].get("namespace")
            self.plane.cluster.apply(kind, namespace, manifest, dry_run=False, force=True)
        self._publish_webhook()
        shutil.rmtree(SERVING_CERTS, ignore_errors=True)
        self.plane.start(
            NAME,
            (
                release.program, f"--kubeconfig={self._kubeconfig()}", "--health-probe-bind-address=0",
                "--metrics-bind-address=0", f"--controllers={','.join(f'-{name}' for name in DISABLED)},*",
            ),
        )  # fmt: skip
        self.plane.until(self._certificates_mounted, "AIBrix makes no certificate")
        self.plane.until(self._listens, "AIBrix's webhook does not listen")
        self.plane.until(self._called, "kube-apiserver does not call AIBrix's webhook")

    def calls(self) -> tuple[int, int]:
        """How often its webhook for StormServices was called, and how often it was passed over as unreachable."""
        counts = {CALLED: 0, PASSED_OVER: 0}
        for line in self.plane.metrics():
            name = line.partition("{")[0]
            if name in counts and f'name="{WEBHOOK}"' in line:
                counts[name] += int(float(line.rpartition(" ")[2]))
        return counts[CALLED], counts[PASSED_OVER]

    def _kubeconfig(self) -> Path:
        """The account that AIBrix's own manifests give the controller."""
        (account,) = (m for _, m in objects(self._manifests) if m["kind"] == "ServiceAccount")
        path = f"/api/v1/namespaces/{NAMESPACE}/serviceaccounts/{account['metadata']['name']}/token"
        body = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"expirationSeconds": 86400}}
        return self.plane.kubeconfig_of(NAME, self.plane.request("POST", path, body)["status"]["token"])

    @property
    def _manifests(self) -> Path:
        assert self.release is not None
        return self.release.manifests

    def _publish_webhook(self) -> None:
        """What the EndpointSlice controller writes for a pod of the controller."""
        labels = {"kubernetes.io/service-name": WEBHOOK_SERVICE}
        slice_ = {
            "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
            "metadata": {"name": WEBHOOK_SERVICE, "namespace": NAMESPACE, "labels": labels},
            "ports": [{"name": "", "port": WEBHOOK_PORT, "protocol": "TCP"}],
            "endpoints": [{"addresses": [self.plane.address], "conditions": {"ready": True}}],
        }  # fmt: skip
        kind = Kind("EndpointSlice", "discovery.k8s.io/v1", "endpointslices")
        self.plane.cluster.apply(kind, NAMESPACE, slice_, dry_run=False, force=True)

    def _certificates_mounted(self) -> bool:
        """Writes the certificate that AIBrix made where it waits for it, as a kubelet would mount its Secret."""
        secret = self.plane.cluster.get(Kind("Secret", "v1", "secrets"), NAMESPACE, WEBHOOK_SECRET) or {}
        data = secret.get("data") or {}
        if "tls.crt" not in data:
            return False
        SERVING_CERTS.mkdir(parents=True, exist_ok=True)
        for name, content in data.items():
            (SERVING_CERTS / name).write_bytes(base64.b64decode(content))
        return True

    def _listens(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex((self.plane.address, WEBHOOK_PORT)) == 0

    def _called(self) -> bool:
        """Whether a StormService that nobody keeps comes back as the webhook leaves it."""
        template = {"spec": {"containers": [{"name": "c", "image": "i"}]}}
        roles = [{"name": "probe", "replicas": 1, "template": template}]
        selector = {"matchLabels": {"app": "probe"}}
        pods = {"metadata": {"labels": {"app": "probe"}}, "spec": {"roles": roles}}
        probe = {
            "apiVersion": "orchestration.aibrix.ai/v1alpha1", "kind": "StormService",
            "metadata": {"name": "probe", "namespace": "default"},
            "spec": {"replicas": 1, "selector": selector, "template": pods},
        }  # fmt: skip
        path = "/apis/orchestration.aibrix.ai/v1alpha1/namespaces/default/stormservices"
        status, answer = self.plane.cluster._request("POST", path, {"dryRun": "All"}, probe)
        return status < 300 and "disruptionTolerance" in answer["spec"]


def objects(path: Path) -> Iterator[tuple[Kind, dict[str, Any]]]:
    """The objects of a file of manifests."""
    for manifest in filter(None, yaml.load_all(path.read_text(encoding="utf-8"), yaml.CSafeLoader)):
        plural = {"NetworkPolicy": "networkpolicies"}.get(manifest["kind"], f"{manifest['kind'].lower()}s")
        namespaced = "namespace" in manifest["metadata"]
        yield Kind(manifest["kind"], manifest["apiVersion"], plural, namespaced), manifest


def _order(manifest: dict[str, Any]) -> int:
    """Namespaces before what is in them; webhooks last."""
    return {"Namespace": 0, WEBHOOKS.name: 2, "ValidatingWebhookConfiguration": 2}.get(manifest["kind"], 1)
