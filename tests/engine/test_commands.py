"""Commands and patches of people's own: the finished container is judged, whoever wrote it."""

from __future__ import annotations

import json

import pytest

from tests.engine.reported import reported
from tests.rules.judging import in_role, judge, patched
from tests.samples import container, storm

SIZES = {"prefill": {"dp_size": 2, "tp_size": 8}, "decode": {"dp_size": 32, "tp_size": 1}}
GOOD = {"kv_connector": "MooncakeConnectorV1", "kv_role": "kv_consumer", "kv_port": "36000",
        "kv_connector_extra_config": SIZES}  # fmt: skip
ARGS = "overrides[0].patch.spec.template.spec.roles[0].template.spec.containers[0].args"
COMMAND = "overrides[0].patch.spec.template.spec.roles[0].template.spec.containers[0].command"


def serve(config: object = GOOD, **changed: object) -> list[str]:
    """A decode command that is right, but for the flags that are changed."""
    flags = {"port": 8080, "data-parallel-size": 32, "data-parallel-rpc-port": 13389, "tensor-parallel-size": 1,
             "served-model-name": "qwen3-moe", **changed}  # fmt: skip
    model = flags.pop("model", "/mnt/models/Qwen3-30B-A3B")
    words = [f"--{name}={value}" for name, value in flags.items()]
    return ["vllm", "serve", str(model), *words, f"--kv-transfer-config={json.dumps(config)}"]


def with_args(words: list[str], field: str = "args") -> str:
    return in_role("decode", json.dumps({"spec": {"containers": [{"name": "decode", field: words}]}}))


def launched(config: object = GOOD, **changed: object) -> str:
    return with_args(["--external-dp", "--", *serve(config, **changed)])


REPLACED = ("W813", ARGS)
JUDGED = [
    (launched(), {REPLACED}),
    (launched(model="/mnt/models/other"), {REPLACED, ("E717", ARGS)}),
    (launched(port=9999), {REPLACED, ("E717", ARGS)}),
    (launched(**{"data-parallel-size": 4}), {REPLACED, ("E717", ARGS)}),
    (launched({}), {REPLACED, ("E039", ARGS)}),
    (launched({**GOOD, "kv_connector": "MooncakeHybridConnector"}), {REPLACED, ("E039", ARGS)}),
    (launched({**GOOD, "kv_role": "kv_producer"}), {REPLACED, ("E039", ARGS)}),
    (launched(**{"max-num-seq": 4}), {REPLACED, ("W702", ARGS)}),
    (launched(**{"max-num-seqs": "few"}), {REPLACED, ("E703", ARGS)}),
    *((with_args([shell, "-c", " ".join(f"'{word}'" for word in serve(port=9999))], "command"),
       {("W813", COMMAND), ("E717", COMMAND)}) for shell in ("bash", "/bin/ash")),
]  # fmt: skip


@pytest.mark.parametrize(("spec", "findings"), JUDGED)
def test_a_command_line_of_an_override_is_held_to_the_spec(spec: str, findings: set[tuple[str, str]]) -> None:
    assert reported(spec) == findings


def test_every_difference_is_reported() -> None:
    spec = launched(model="/mnt/models/other", port=9999, **{"tensor-parallel-size": 2})
    assert len([finding for finding in judge(spec) if finding.rule == "E717"]) == 3


def test_a_command_that_calls_the_launcher_finds_it() -> None:
    call = "exec python3 /opt/stormc/launcher/launch.py --external-dp -- vllm serve /m"
    box = container(storm(f"engine: {{command: [bash, -c, '{call}']}}"), "prefill")
    assert "/opt/stormc/launcher" in {mount["mountPath"] for mount in box["volumeMounts"]}


PATCHES = [
    (patched("{spec: {template: {spec: {roles: [{name: routing, replicas: 0}]}}}}"), "E715"),
    (patched("{spec: {updateStrategy: {type: RollingUpdate}}}"), "W055"),
    (patched("{status: {replicas: 1}}"), "E501"),
    (in_role("decode", "{spec: {tolerations: []}}"), "E501"),
    (in_role("decode", "{spec: {terminationGracePeriod: 5}}"), "E501"),
    (in_role("decode", "{spec: {hostNetwork: true}}"), "W723"),
    (in_role("decode", "{spec: {containers: [{name: decode, env: [{name: ASCEND_RT_VISIBLE_DEVICES, value: '0'}]}]}}"),
     "E710"),
]  # fmt: skip


@pytest.mark.parametrize(("spec", "rule"), PATCHES)
def test_a_patch_is_judged_by_what_it_makes(spec: str, rule: str) -> None:
    assert rule in {told_rule for told_rule, _ in reported(spec)}


REMOVED = [
    "decode: {env: {TP_SOCKET_IFNAME: null}}",
    "engine: {env: {TP_SOCKET_IFNAME: null}}",
    in_role("decode", "{spec: {containers: [{name: decode, env: [{name: TP_SOCKET_IFNAME, $patch: delete}]}]}}"),
]


@pytest.mark.parametrize("spec", REMOVED)
def test_a_variable_of_stormc_can_be_removed(spec: str) -> None:
    names = {entry["name"] for entry in container(storm(spec), "decode")["env"]}
    assert "TP_SOCKET_IFNAME" not in names and "GLOO_SOCKET_IFNAME" in names
