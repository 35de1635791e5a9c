"""A control plane of real programs: etcd, kube-apiserver, and the controllers of Kubernetes that the tests need."""

from __future__ import annotations

import ctypes
import json
import signal
import ssl
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from stormc.cluster.connection import Cluster
from stormc.failure import Failure
from tests.e2e.conftest import binary, free_ports, own_address

ADMIN = "admin-token"
LIBC = ctypes.CDLL(None)
PR_SET_PDEATHSIG = 1  # linux/prctl.h
MINUTES = 3.0
"""How long anything that a test waits for may take, on a busy machine."""
POLL_SECONDS = 0.2
GRACE_SECONDS = 10
CONTROLLERS = (
    "garbage-collector-controller", "namespace-controller", "serviceaccount-controller", "endpointslice-controller",
    "resourcequota-controller", "node-lifecycle-controller", "taint-eviction-controller",
    "pod-garbage-collector-controller", "disruption-controller",
)  # fmt: skip
NODE_GRACE_SECONDS = 300
"""After so long without a sign of its kubelet a node is NotReady: long, for busy machines. Tests lose nodes at once."""
EVICTION_SECONDS = 2
"""Pods of such a node are deleted after so long; Kubernetes' default is 300 s."""


def eventually(done: Callable[[], Any], what: Callable[[], object] | str, minutes: float = MINUTES) -> Any:
    """What `done` gives once it gives anything true; fails with `what` when it never does."""
    end = time.monotonic() + minutes * 60
    while True:
        if result := done():
            return result
        assert time.monotonic() < end, what() if callable(what) else what
        time.sleep(POLL_SECONDS)


def _end_with_parent() -> None:
    """In a program that is started: it ends with the test run, however that ends."""
    LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


class ControlPlane:
    """Programs that are started and stopped by name, and the API server's address and files."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.address = own_address()
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        client, peer, secure = free_ports(3)
        self.url = f"https://{self.address}:{secure}"
        self.authority = directory / "authority.crt"
        self._certificates()
        self._start_storage(client, peer)
        self._start_server(client, secure)
        self.kubeconfig = self.kubeconfig_of("admin", ADMIN)
        self.cluster = Cluster(self.kubeconfig)
        self.until(self._answers, "kube-apiserver does not answer")
        self._start_controllers()

    def start(self, name: str, command: Sequence[str | Path]) -> None:
        """Starts a program; its output goes to a file of its name."""
        with self.log(name).open("ab") as log:
            self._running[name] = subprocess.Popen(
                [str(word) for word in command], stdout=log, stderr=log, preexec_fn=_end_with_parent
            )

    def stop(self, name: str) -> None:
        """Ends a program, if it runs; one that will not end is killed, as Argo CD's server of plugins must be."""
        if process := self._running.pop(name, None):
            process.terminate()
            try:
                process.wait(GRACE_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def close(self) -> None:
        """Kills everything, the newest first: nobody needs what they would still do."""
        for process in reversed(self._running.values()):
            process.kill()
            process.wait()
        self._running.clear()

    def log(self, name: str) -> Path:
        """The file with a program's output."""
        return self.directory / f"{name}.log"

    def until(self, done: Callable[[], Any], what: str, minutes: float = MINUTES) -> Any:
        """Like `eventually`; fails at once when a program ended, with the end of its output."""

        def checked() -> Any:
            for name, process in self._running.items():
                assert process.poll() is None, f"{name} ended:\n{self.log(name).read_text()[-3000:]}"
            return done()

        return eventually(checked, what, minutes)

    def kubeconfig_of(self, name: str, token: str) -> Path:
        """A kubeconfig file with this token."""
        path = self.directory / f"{name}.kubeconfig"
        server = {"server": self.url, "certificate-authority": str(self.authority)}
        content = {
            "apiVersion": "v1", "kind": "Config", "current-context": "test",
            "clusters": [{"name": "test", "cluster": server}],
            "users": [{"name": "test", "user": {"token": token}}],
            "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test"}}],
        }  # fmt: skip
        path.write_text(json.dumps(content), encoding="utf-8")
        return path

    def trust(self) -> ssl.SSLContext:
        """What a client needs to believe the API server."""
        return ssl.create_default_context(cafile=str(self.authority))

    def request(self, method: str, path: str, body: Any = None, content: str = "application/json") -> dict[str, Any]:
        """An answer of the API server that is no error."""
        status, answer = self.cluster._request(method, path, None, body, content)
        assert status < 300, answer
        return answer

    def metrics(self) -> list[str]:
        """The API server's metrics, line by line."""
        response = self.cluster._client.rest_client.pool_manager.request(
            "GET", f"{self.url}/metrics", headers={"Authorization": f"Bearer {ADMIN}"}
        )
        return str(response.data.decode()).splitlines()

    def _certificates(self) -> None:
        names = f"subjectAltName=IP:{self.address},IP:127.0.0.1,IP:10.96.0.1"
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=kube-apiserver",
             "-addext", names, "-keyout", self.directory / "server.key", "-out", self.authority],
            check=True, capture_output=True,
        )  # fmt: skip

    def _start_storage(self, client: int, peer: int) -> None:
        etcd = binary("etcd")
        assert etcd
        self.start("etcd", (
            etcd, f"--data-dir={self.directory}/etcd", f"--listen-client-urls=http://127.0.0.1:{client}",
            f"--advertise-client-urls=http://127.0.0.1:{client}", f"--listen-peer-urls=http://127.0.0.1:{peer}",
            "--unsafe-no-fsync",
        ))  # fmt: skip

    def _start_server(self, client: int, secure: int) -> None:
        """An API server that calls webhooks at the addresses of their EndpointSlices, since nobody routes Services."""
        server = binary("kube-apiserver")
        assert server
        tokens = self.directory / "tokens.csv"
        tokens.write_text(f'{ADMIN},admin,1,"system:masters"\n', encoding="utf-8")
        key = self.directory / "server.key"
        self.start("kube-apiserver", (
            server, f"--etcd-servers=http://127.0.0.1:{client}", f"--secure-port={secure}", "--bind-address=0.0.0.0",
            f"--advertise-address={self.address}", f"--cert-dir={self.directory}/certs",
            f"--tls-cert-file={self.authority}", f"--tls-private-key-file={key}", f"--token-auth-file={tokens}",
            "--authorization-mode=RBAC", "--service-cluster-ip-range=10.96.0.0/16", "--allow-privileged=true",
            f"--service-account-key-file={key}", f"--service-account-signing-key-file={key}",
            "--service-account-issuer=https://kubernetes.default.svc", "--enable-aggregator-routing=true",
            "--enable-priority-and-fairness=false", "--watch-cache=true",
            f"--default-not-ready-toleration-seconds={EVICTION_SECONDS}",
            f"--default-unreachable-toleration-seconds={EVICTION_SECONDS}",
        ))  # fmt: skip

    def _start_controllers(self) -> None:
        program = binary("kube-controller-manager")
        assert program
        self.start("kube-controller-manager", (
            program, f"--kubeconfig={self.kubeconfig}", f"--controllers={','.join(CONTROLLERS)}",
            "--leader-elect=false", "--secure-port=0", "--kube-api-qps=500", "--kube-api-burst=1000",
            f"--node-monitor-grace-period={NODE_GRACE_SECONDS}s", "--node-monitor-period=1s",
        ))  # fmt: skip

    def _answers(self) -> bool:
        try:
            return self.cluster._request("GET", "/readyz/poststarthook/rbac/bootstrap-roles")[0] == 200
        except Failure:
            return False
