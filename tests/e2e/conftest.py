"""A real API server on etcd, without controllers: the tests write what controllers would."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml
from xdist.scheduler import LoadScopeScheduling

from stormc.__main__ import main
from stormc.cluster.apply import ensure_namespace
from stormc.cluster.connection import Cluster
from stormc.cluster.kinds import CLUSTER_ROLE, CONFIG_MAP, CRD, POD, ROLE_SET, STORM_SERVICE, Kind
from stormc.cluster.owner import owned
from stormc.failure import Failure
from tests.caches import PROGRAMS
from tests.e2e.controllers import NS, collect
from tests.e2e.summary import RUN, write
from tests.e2e.workers import ByCluster

CACHE = PROGRAMS
SCHEMA = Path(__file__).parents[2] / "compiler" / "stormc" / "emit" / "schemas" / "stormservice.json"
ADMIN, VIEWER, OPERATOR = "admin-token", "viewer-token", "operator-token"
NAMES = {
    "orchestration.aibrix.ai": ("v1alpha1", ("StormService", "RoleSet", "PodSet")),
    "scheduling.volcano.sh": ("v1beta1", ("PodGroup",)),
}


class Server(NamedTuple):
    """A running API server."""

    url: str
    authority: Path
    directory: Path

    def kubeconfig(self, token: str = ADMIN, url: str | None = None) -> Path:
        """A kubeconfig file with this token."""
        path = self.directory / f"kubeconfig-{token}-{(url or self.url).rpartition(':')[2]}"
        cluster = {"server": url or self.url, "certificate-authority": str(self.authority)}
        content = {
            "apiVersion": "v1", "kind": "Config", "current-context": "test",
            "clusters": [{"name": "test", "cluster": cluster}],
            "users": [{"name": "test", "user": {"token": token}}],
            "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test"}}],
        }  # fmt: skip
        path.write_text(json.dumps(content), encoding="utf-8")
        return path

    def cluster(self) -> Cluster:
        """A connection that may do everything."""
        return Cluster(self.kubeconfig())


def binary(name: str) -> str | None:
    """Where a program of the control plane is: KUBEBUILDER_ASSETS, the cache of `make e2e-tools`, the PATH."""
    places = [os.environ.get("KUBEBUILDER_ASSETS", ""), str(CACHE), os.environ.get("PATH", "")]
    return shutil.which(name, path=os.pathsep.join(filter(None, places)))


NEEDED: dict[str, tuple[str, ...]] = {
    "test_explain_page.py": ("chromium",), "test_judges.py": (), "test_summary.py": (),
}  # fmt: skip
CONTROL_PLANE = ("etcd", "kube-apiserver")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Without their programs these tests are not there."""
    here = [item for item in items if item.path.parent == Path(__file__).parent]
    leave_out(config, items, {item: missing(NEEDED.get(item.path.name, CONTROL_PLANE)) for item in here})


def missing(names: Iterable[str]) -> str:
    """The programs of these that are nowhere, and the files that are not in the cache."""
    return ", ".join(name for name in names if binary(name) is None and not (CACHE / name).is_file())


def leave_out(config: pytest.Config, items: list[pytest.Item], missing_for: Mapping[pytest.Item, str]) -> None:
    """Deselects the tests for which something is missing; the summary names each of their files."""
    impossible = [item for item in items if missing_for.get(item)]
    if impossible:
        RUN.missing |= {item.path.name: f"{missing_for[item]} is not here" for item in impossible}
        items[:] = [item for item in items if item not in impossible]
        config.hook.pytest_deselected(items=impossible)


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Every test counts once, its preparation as part of it."""
    decides = report.when == "call" or report.outcome != "passed"
    RUN.test(report.nodeid.partition("::")[0], report.duration, report.outcome if decides else "")
    if report.outcome == "skipped":
        RUN.missing[report.nodeid.rpartition("/")[2]] = str(report.longrepr)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """A worker of pytest-xdist tells what it measured."""
    if isinstance(told := getattr(session.config, "workeroutput", None), dict):
        told["summary"] = RUN.measured()


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any, error: object) -> None:
    """What a worker has told."""
    RUN.add(getattr(node, "workeroutput", {}).get("summary", {}))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadScopeScheduling | None:
    """`--dist loadscope` hands out whole clusters."""
    return ByCluster(config, log) if config.getvalue("dist") == "loadscope" else None


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """What this run came to; `RECORD=1` keeps that of a run without failures in docs/e2e.md."""
    if not RUN.outcomes:
        return
    lines = list(RUN.lines())
    terminalreporter.section("summary of the real programs")
    for line in lines:
        terminalreporter.write_line(line)
    if os.environ.get("RECORD") and not terminalreporter.stats.get("failed"):
        write(lines)


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    etcd, apiserver = binary("etcd"), binary("kube-apiserver")
    assert etcd and apiserver
    directory = tmp_path_factory.mktemp("control-plane")
    client, peer, secure = free_ports(3)
    tokens = directory / "tokens.csv"
    tokens.write_text(f'{ADMIN},admin,1,"system:masters"\n{VIEWER},viewer,2\n{OPERATOR},operator,3\n', encoding="utf-8")
    key = directory / "accounts.key"
    subprocess.run(["openssl", "genrsa", "-out", key, "2048"], check=True, capture_output=True)
    commands = (
        [
            etcd, f"--data-dir={directory}/etcd", f"--listen-client-urls=http://127.0.0.1:{client}",
            f"--advertise-client-urls=http://127.0.0.1:{client}", f"--listen-peer-urls=http://127.0.0.1:{peer}",
            "--unsafe-no-fsync",
        ],
        [
            apiserver, f"--etcd-servers=http://127.0.0.1:{client}", f"--secure-port={secure}",
            "--bind-address=127.0.0.1", f"--advertise-address={own_address()}", f"--cert-dir={directory}/certs",
            f"--token-auth-file={tokens}",
            "--authorization-mode=RBAC", "--service-cluster-ip-range=10.96.0.0/16",
            f"--service-account-key-file={key}", f"--service-account-signing-key-file={key}",
            "--service-account-issuer=https://127.0.0.1", "--disable-admission-plugins=ServiceAccount",
        ],
    )  # fmt: skip
    with (directory / "log").open("wb") as log:
        processes = [subprocess.Popen(command, stdout=log, stderr=log) for command in commands]
        try:
            url = f"https://127.0.0.1:{secure}"
            running = Server(url, directory / "certs" / "apiserver.crt", directory)
            until(lambda: running.authority.exists() and answers(running), processes, directory / "log")
            install(running.cluster())
            ensure_namespace(running.cluster(), "inference", dry_run=False)  # where two of the examples live
            until(lambda: served(running.cluster()), processes, directory / "log")
            yield running
        finally:
            for process in reversed(processes):
                process.terminate()
                process.wait()


def own_address() -> str:
    """An address of this machine that other programs may be told: no loopback address stands in an EndpointSlice."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(("10.200.0.1", 9))  # nothing is sent
        return str(probe.getsockname()[0])


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens on."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [s.getsockname()[1] for s in sockets]
    for s in sockets:
        s.close()
    return ports


def until(done: Any, processes: list[subprocess.Popen[bytes]], log: Path) -> None:
    """Polls; fails with the log when a process ended or after a minute and a half."""
    end = time.monotonic() + 90
    while not done():
        assert time.monotonic() < end and all(p.poll() is None for p in processes), log.read_text()[-3000:]
        time.sleep(0.2)


def answers(server: Server) -> bool:
    """Whether the server has made its own roles, the last thing it does when it starts."""
    try:
        return server.cluster().get(CLUSTER_ROLE, None, "cluster-admin") is not None
    except Failure:
        return False


def served(cluster: Cluster) -> bool:
    """Whether the new kinds are there."""
    return all(cluster.find(kind, "default") is not None for kind in kinds())


def kinds() -> list[Kind]:
    """The kinds of NAMES."""
    return [
        Kind(name, f"{group}/{version}", f"{name.lower()}s")
        for group, (version, names) in NAMES.items()
        for name in names
    ]


def install(cluster: Cluster) -> None:
    """Definitions of the kinds: AIBrix's own from the directory in STORMC_E2E_CRDS, else those of `definition`."""
    own = sorted(Path(os.environ["STORMC_E2E_CRDS"]).glob("*.yaml")) if "STORMC_E2E_CRDS" in os.environ else []
    made = {d["metadata"]["name"]: d for path in own for d in yaml.safe_load_all(path.read_text(encoding="utf-8")) if d}
    for kind in kinds():
        if cluster.get(CRD, None, kind.resource) is None:
            cluster.create(CRD, made.get(kind.resource) or definition(kind), dry_run=False)


def definition(kind: Kind) -> dict[str, Any]:
    """A definition: StormService with the fields of AIBrix v0.5.0 as our output schema has them, the others open."""
    group, _, version = kind.version.partition("/")
    anything = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    spec: dict[str, Any] = anything
    if kind.name == "StormService":
        schema = json.loads(SCHEMA.read_text(encoding="utf-8"))
        spec = structural(schema["$defs"]["StormServiceSpec"], schema["$defs"])
    names = {"kind": kind.name, "plural": kind.plural, "singular": kind.name.lower()}
    served = {
        "name": version, "served": True, "storage": True, "subresources": {"status": {}},
        "schema": {"openAPIV3Schema": {"type": "object", "properties": {"spec": spec, "status": anything}}},
    }  # fmt: skip
    return {
        "apiVersion": CRD.version, "kind": CRD.name, "metadata": {"name": kind.resource},
        "spec": {"group": group, "scope": "Namespaced", "names": names, "versions": [served]},
    }  # fmt: skip


def structural(node: dict[str, Any], definitions: dict[str, Any]) -> dict[str, Any]:
    """A JSON Schema in the form of a CRD: references resolved, types, fields and enumerations kept."""
    if "$ref" in node:
        node = definitions[node["$ref"].rpartition("/")[2]]
    if isinstance(node.get("type"), list):
        return {"x-kubernetes-int-or-string": True}
    made: dict[str, Any] = {k: node[k] for k in ("type", "required", "enum", "minimum", "maximum") if k in node}
    for field, inner in node.get("properties", {}).items():
        made.setdefault("properties", {})[field] = structural(inner, definitions)
    for field in ("items", "additionalProperties"):
        if isinstance(node.get(field), dict):
            made[field] = structural(node[field], definitions)
    return made


class Run:
    """Runs stormc against the server and keeps what it printed."""

    def __init__(self, server: Server, capsys: pytest.CaptureFixture[str]) -> None:
        self.server, self.capsys = server, capsys
        self.out = self.err = ""

    def __call__(self, *arguments: str, kubeconfig: Path | None = None) -> int:
        self.capsys.readouterr()
        code = main([*arguments, "--kubeconfig", str(kubeconfig or self.server.kubeconfig())])
        self.out, self.err = self.capsys.readouterr()
        return code

    def __repr__(self) -> str:
        return f"{self.out}{self.err}"


@pytest.fixture
def stormc(server: Server, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Iterator[Run]:
    monkeypatch.chdir(Path(__file__).parents[2])
    yield Run(server, capsys)
    cluster = server.cluster()
    for kind in (STORM_SERVICE, ROLE_SET, POD, CONFIG_MAP):
        for found in cluster.find(kind, NS) or ():
            collect(cluster, kind, found["metadata"]["name"])
    for kind, found in owned(cluster, NS, "my-test"):
        collect(cluster, kind, found["metadata"]["name"])
