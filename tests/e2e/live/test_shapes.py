"""Apps of every shape in front of the real programs: fields, pods, Services and topology are as stormc takes them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from stormc.cluster.kinds import APPLIED, ROLE_SET, STORM_SERVICE_NAME, kind_of
from stormc.facts.keys import Env, Label
from stormc.facts.limits import SERVING_ROLES
from stormc.load.releases import aibrix
from stormc.local.pods import Pod, ordered_environment, pods_of
from stormc.tree.rendered_app import Manifest, read_manifests
from tests.e2e.live.apps import shaped
from tests.e2e.live.cluster import LiveCluster
from tests.e2e.live.control_plane import eventually

RENDERED = Path(__file__).parents[3] / "rendered"
EXAMPLES = ["a2/qwen3-8b", "a3/my-test", "a3/qwen3-moe"]
SINGLE, GROUPS = "{podGroupSize: 1, dataParallel: 16}", "{podGroupSize: 2, dataParallel: 4}"
SHAPES = {
    "single pods": f"decode: {SINGLE}",
    "groups of both roles": f"{{prefill: {GROUPS}, decode: {{podGroupSize: 4, dataParallel: 64}}}}",
    "several routing pods": "{routing: {replicas: 2}}",
    "variables of the user": '{decode: {env: {A: a, ROLE_X: "$(A)", Z: z}}, prefill: {env: {A: a, Z: z}}}',
    "labels of the user": "{prefill: {labels: {team: a}, annotations: {note: b}}, decode: {labels: {team: a}}}",
    "proxy from an image": "{proxy: {source: image}, routing: {image: 'proxy:1.0'}}",
    "network policy": "{networkPolicy: true}",
    "gateway at the router": "{gateway: router}",
    "no retries": "{faults: {retries: 0}}",
}


def run(live: LiveCluster, manifests: list[Manifest]) -> tuple[str, str]:
    """Brings an app to a namespace and waits for it; namespace and name."""
    storm = next(m for m in manifests if m["kind"] == "StormService")
    namespace, name = live.namespace(storm["metadata"]["namespace"]), storm["metadata"]["name"]
    live.apply(manifests, namespace)
    live.until_ready(namespace, name)
    return namespace, name


@pytest.mark.parametrize("example", EXAMPLES)
def test_the_server_keeps_every_written_field_of_an_example(live: LiveCluster, example: str) -> None:
    manifests = read_manifests(RENDERED / example)
    namespace, name = run(live, manifests)
    for manifest in manifests:
        kept = live.cluster.get(kind_of(manifest), namespace, manifest["metadata"]["name"])
        assert kept is not None
        assert not [f"{manifest['kind']}{path}" for path in lost(manifest, kept)]
    live.apply(manifests, namespace)
    live.until_ready(namespace, name)
    for manifest in manifests:
        again = live.cluster.get(kind_of(manifest), namespace, manifest["metadata"]["name"])
        assert again is not None and not list(lost(manifest, again))
    live.remove(namespace, name)


def lost(written: Any, kept: Any, path: str = "") -> Iterator[str]:
    """The leaves that the server has otherwise than they were written; it may add fields, and no list items."""
    if isinstance(written, Mapping) and isinstance(kept, Mapping):
        for key, value in written.items():
            yield from lost(value, kept.get(key), f"{path}.{key}")
    elif isinstance(written, list) and isinstance(kept, list) and len(written) == len(kept):
        for index, (one, other) in enumerate(zip(written, kept, strict=True)):
            yield from lost(one, other, f"{path}[{index}]")
    elif written != kept:
        yield path


@pytest.mark.parametrize("shape", SHAPES)
def test_pods_are_those_of_run_local(live: LiveCluster, shape: str) -> None:
    manifests = shaped(SHAPES[shape], live.platform_release, f"shape-{list(SHAPES).index(shape)}")
    namespace, name = run(live, manifests)
    (role_set,) = live.cluster.find(ROLE_SET, namespace, {STORM_SERVICE_NAME: name}) or [{}]
    storm = next(m for m in manifests if m["kind"] == "StormService")
    played = pods_of(storm, role_set["metadata"]["name"], aibrix(live.platform_release))
    real = {key(pod): pod for pod in live.kubelet.pods(namespace, name)}
    assert {key_of(pod) for pod in played} == real.keys()
    for pod in played:
        assert seen(pod) == shown(real[key_of(pod)], pod)
    services_lead_where_they_should(live, namespace, manifests)
    live.remove(namespace, name)


def key(pod: Mapping[str, Any]) -> tuple[str, str, str]:
    """What tells a pod of an app apart: role, instance, member."""
    labels = pod["metadata"]["labels"]
    return labels[Label.ROLE], labels[Label.ROLE_REPLICA], labels.get(Label.POD_GROUP_INDEX, "")


def key_of(pod: Pod) -> tuple[str, str, str]:
    """The same of a pod that run-local plays."""
    return pod.role, pod.labels[Label.ROLE_REPLICA], pod.labels.get(Label.POD_GROUP_INDEX, "")


def seen(pod: Pod) -> dict[str, Any]:
    """All that the controllers write of a pod, as run-local plays it."""
    chosen = {key: value for key, value in pod.annotations.items() if not value.startswith("Ascend910-")}
    order = [(entry["name"], entry.get("value", "")) for entry in ordered_environment(pod)]
    return {"name": pod.name, "labels": dict(pod.labels), "annotations": chosen, "env": order, "subdomain": pod.service}


def shown(real: Mapping[str, Any], played: Pod) -> dict[str, Any]:
    """The same of a real pod, with the hashes of the played one, which is another function of the same input."""
    text = json.dumps({
        "name": real["metadata"]["name"], "labels": real["metadata"]["labels"],
        "annotations": real["metadata"].get("annotations") or {},
        "env": [(entry["name"], entry.get("value", "")) for entry in real["spec"]["containers"][0]["env"]],
        "subdomain": real["spec"]["subdomain"],
    })  # fmt: skip
    assert real["spec"]["hostname"] == real["metadata"]["name"]
    for label in (Label.ROLE_TEMPLATE_HASH, Label.ROLE_REVISION_NAME):
        if label in played.labels:
            hashed = real["metadata"]["labels"][label]
            assert len(hashed) <= len(played.labels[label])
            text = text.replace(hashed, played.labels[label])
    result: dict[str, Any] = json.loads(text)
    return result | {"env": [(name, value) for name, value in result["env"]]}


def services_lead_where_they_should(live: LiveCluster, namespace: str, manifests: list[Manifest]) -> None:
    """Every Service of a pod has one endpoint, the router's all routing pods; the topology names Services and ports."""
    services = {m["metadata"]["name"]: m for m in manifests if m["kind"] == "Service"}
    pods = live.kubelet.pods(namespace)
    for name, service in services.items():
        selector = service["spec"]["selector"]
        wanted = {p["status"]["podIP"] for p in pods if selector.items() <= p["metadata"]["labels"].items()}
        assert len(wanted) == 1 or Label.ROLE_REPLICA not in selector
        eventually(partial(leads_to, live, namespace, name, wanted), f"{name} leads elsewhere than to {wanted}")
    (config,) = (m for m in manifests if m["metadata"]["name"].endswith("-proxy-config"))
    topology = json.loads(config["data"]["config.json"])
    backends = [(each["host"], each["port"]) for role in SERVING_ROLES for each in topology[role]]
    for host, port in backends:
        assert port in {p["port"] for p in services[host]["spec"]["ports"]}
    of_pods = {name for name, service in services.items() if Label.ROLE_REPLICA in service["spec"]["selector"]}
    assert {host for host, _ in backends} == of_pods


def leads_to(live: LiveCluster, namespace: str, service: str, wanted: set[str]) -> bool:
    """Whether a Service's endpoints are these."""
    return live.endpoints(namespace, service) == wanted


def test_twins_in_two_namespaces_do_not_touch_each_other(live: LiveCluster) -> None:
    apps = [shaped("{}", live.platform_release, namespace) for namespace in ("twin-a", "twin-b")]
    for manifests in apps:
        run(live, manifests)
    before = live.uids("twin-a", "qwen3-moe")
    run(live, shaped("{image: 'vllm-ascend:v0.12.0rc2'}", live.platform_release, "twin-b"))
    assert live.uids("twin-a", "qwen3-moe") == before
    live.remove("twin-b", "qwen3-moe")
    assert live.uids("twin-a", "qwen3-moe") == before
    assert not live.problem("twin-a", "qwen3-moe")
    live.remove("twin-a", "qwen3-moe")


def test_env_names_are_those_of_the_facts(live: LiveCluster) -> None:
    """Every variable that AIBrix adds is one that stormc reserves."""
    manifests = shaped("{}", live.platform_release, "variables")
    namespace, name = run(live, manifests)
    written = {e["name"] for m in manifests if m["kind"] == "StormService" for e in every_env(m)}
    added = {e["name"] for pod in live.kubelet.pods(namespace, name) for e in every_env(pod)} - written
    known = {value for key, value in vars(Env).items() if not key.startswith("_")}
    assert added and added <= known
    live.remove(namespace, name)


def every_env(node: Any) -> Iterator[Mapping[str, Any]]:
    """All entries of all environments below a node."""
    for field, value in (
        node.items() if isinstance(node, Mapping) else enumerate(node if isinstance(node, list) else ())
    ):
        if field == "env":
            yield from value
        else:
            yield from every_env(value)


def test_nothing_is_left_of_a_deleted_app(live: LiveCluster) -> None:
    namespace, name = run(live, shaped("{}", live.platform_release, "leftovers"))
    live.remove(namespace, name)
    for kind in (*APPLIED, ROLE_SET):
        there = [
            m["metadata"]["name"] for m in live.cluster.find(kind, namespace) or () if name in m["metadata"]["name"]
        ]
        assert not there, kind.name
