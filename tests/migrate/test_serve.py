"""`vllm serve` command lines become fields, where they are nothing but that."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from stormc.__main__ import main
from stormc.migrate.serve import engine_args, facts_of, served

FACTS = facts_of("vllm-ascend:v0.23.0")
KV = """{"kv_connector": "MooncakeConnectorV1", "kv_role": "kv_producer"}"""
SERVED = [
    ["vllm", "serve", "/m", "--max_num_seqs", "8", f"--kv-transfer-config={KV}", "-tp", "4", "--enforce-eager"],
    ["bash", "-c", f"exec vllm serve /m --max-num-seqs 8 --kv-transfer-config '{KV}' -tp 4 --enforce-eager"],
    ["/bin/sh", "-c", f"vllm serve /m \\\n --max-num-seqs=8 -tp=4 --enforce-eager --kv-transfer-config '{KV}'"],
]


@pytest.mark.parametrize("words", SERVED)
def test_flags_that_no_field_says(words: list[str]) -> None:
    found = served(words, FACTS)
    assert found is not None
    assert found.command.model == "/m"
    assert found.env == {}
    assert engine_args(found.command) == {
        "enforce-eager": True,
        "max-num-seqs": 8,
        "kv-transfer-config": {"kv_connector": "MooncakeConnectorV1", "kv_role": "kv_producer"},
    }


SCRIPTS = [
    ("export A=1 B='x y'; vllm serve", {"A": "1", "B": "x y"}),
    ("#!/bin/sh\n# what isn't a command\nset -eu\nexport A=1\n\nB=$A-2\nexec vllm serve", {"A": "1", "B": "1-2"}),
    ("A=1 exec vllm serve", {"A": "1"}),
    ("source /opt/cann/set_env.sh && . /opt/atb/set_env.sh && vllm serve", {}),
    ("export LIBS=/a:$LIBS\nvllm serve", {"LIBS": {"prepend": "/a"}}),
    ("export LIBS=${LIBS}:/a:/b\nvllm serve", {"LIBS": {"prepend": "/a:/b"}}),
    ("export HOME_OF=${KNOWN}/logs\nvllm serve", {"HOME_OF": "/known/logs"}),
    ("export HCCL_IF_IP=$POD_IP\nvllm serve", {}),
    ("python3 -m vllm.entrypoints.openai.api_server --model", {}),
]


@pytest.mark.parametrize(("script", "env"), SCRIPTS)
def test_a_script_that_sets_variables(script: str, env: dict[str, Any]) -> None:
    found = served(
        ["bash", "-c", f"{script} /m --host $POD_IP --kv-transfer-config '{KV}'"], FACTS, {"KNOWN": "/known"}
    )
    assert found is not None
    assert found.command.model == "/m"
    assert found.env == env


PROGRAMS = [
    [],
    ["python3", "serve.py"],
    ["vllm", "serve", "/m"],  # no KV transfer: not one role of two
    ["vllm", "serve", "$MODEL", f"--kv-transfer-config={KV}"],
    ["vllm", "serve", "/m", "--max-model-len=$LENGTH", f"--kv-transfer-config={KV}"],
    ["bash", "-c", f"python3 wait.py && vllm serve /m --kv-transfer-config '{KV}'"],
    ["bash", "-c", f"export A=$(hostname -i); vllm serve /m --kv-transfer-config '{KV}'"],
    ["bash", "-c", f"export A=$UNKNOWN; vllm serve /m --kv-transfer-config '{KV}'"],
    ["bash", "-c", f"vllm serve /m --kv-transfer-config '{KV}' | tee log"],
    ["bash", "-c", f"vllm serve /m --kv-transfer-config '{KV}' & wait"],
    ["bash", "-c", "vllm serve '/m"],
    ["bash", "-c", ""],
    ["bash", "/start.sh"],
]


@pytest.mark.parametrize("words", PROGRAMS)
def test_what_does_more_stays_a_program(words: list[str]) -> None:
    assert served(words, FACTS) is None


def role(name: str, port: str, **container: Any) -> dict[str, Any]:
    sizes = '"prefill":{"dp_size":1,"tp_size":8},"decode":{"dp_size":1,"tp_size":8}'
    kind = "kv_producer" if name == "prefill" else "kv_consumer"
    config = (
        f'{{"kv_connector":"MooncakeConnectorV1","kv_role":"{kind}","kv_port":"{port}",'
        f'"kv_connector_extra_config":{{{sizes}}}}}'
    )
    npus = {"huawei.com/Ascend910": 8}
    engine = {
        "name": name,
        "image": "vllm-ascend:v0.18.0",
        "command": ["vllm", "serve", "/mnt/models/m"],
        "args": ["--port=8000", "--tensor-parallel-size=8", "--block-size=128", f"--kv-transfer-config={config}"],
        "resources": {"limits": npus, "requests": npus},
        **container,
    }
    pod = {
        "schedulerName": "volcano", "nodeSelector": {"accelerator-type": "module-910b-8"}, "containers": [engine],
    }  # fmt: skip
    return {"name": name, "replicas": 1, "stateful": True, "template": {"spec": pod}}


def test_a_hand_written_service_becomes_fields(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    token = [{"name": "HF_TOKEN", "valueFrom": {"secretKeyRef": {"name": "hf", "key": "token"}}}]
    roles = [role("prefill", "30000"), role("decode", "30100", env=token)]
    storm = {
        "apiVersion": "orchestration.aibrix.ai/v1alpha1", "kind": "StormService", "metadata": {"name": "chat"},
        "spec": {"replicas": 1, "stateful": True, "template": {"spec": {"roles": roles}}},
    }  # fmt: skip
    scaler = {"apiVersion": "autoscaling.aibrix.ai/v1alpha1", "kind": "PodAutoscaler", "metadata": {"name": "chat"}}
    (tmp_path / "in.yaml").write_text(yaml.safe_dump_all([storm, scaler]))
    monkeypatch.chdir(tmp_path)
    code = main(["import", "in.yaml", "--model-path", "/mnt/models/m", "--hardware", "atlas-800i-a2", "--out", "specs"])
    assert code in (0, 1)
    assert "W608 PodAutoscaler/chat" in capsys.readouterr().err
    spec = yaml.safe_load((tmp_path / "specs/chat.yaml").read_text())
    assert "engine" not in spec
    assert spec["decode"]["engineArgs"]["block-size"] == 128
    assert spec["decode"]["engineArgs"]["kv-transfer-config"]["kv_port"] == "30100"
    assert spec["decode"]["env"] == {"HF_TOKEN": {"secretKeyRef": {"name": "hf", "key": "token"}}}
    assert main(["validate"]) == 0


def test_a_script_with_exports_becomes_fields(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    roles = [role("prefill", "30000"), role("decode", "30100")]
    for one in roles:
        (engine,) = one["template"]["spec"]["containers"]
        words = " ".join(f"'{word}'" if "{" in word else word for word in [*engine.pop("command"), *engine["args"]])
        stages = " -pp 2" if one["name"] == "prefill" else ""
        exports = "export OMP_NUM_THREADS=7\nexport LD_LIBRARY_PATH=/x:$LD_LIBRARY_PATH\n"
        engine["args"] = [f"{exports}{words}{stages}"]
        engine["command"] = ["/bin/bash", "-c"]
        engine["env"] = [{"name": "OMP_NUM_THREADS", "value": "1"}]
        engine["resources"] = {kind: {"huawei.com/Ascend910": 16} for kind in ("requests", "limits")}
        del one["template"]["spec"]["nodeSelector"]
    storm = {
        "apiVersion": "orchestration.aibrix.ai/v1alpha1", "kind": "StormService", "metadata": {"name": "chat"},
        "spec": {"replicas": 1, "stateful": True, "template": {"spec": {"roles": roles}}},
    }  # fmt: skip
    (tmp_path / "in.yaml").write_text(yaml.safe_dump(storm))
    monkeypatch.chdir(tmp_path)
    main(["import", "in.yaml", "--hardware", "atlas-800i-a3", "--out", "specs"])
    capsys.readouterr()
    spec = yaml.safe_load((tmp_path / "specs/chat.yaml").read_text())
    assert "engine" not in spec
    assert spec["prefill"]["env"] == {"LD_LIBRARY_PATH": {"prepend": "/x"}, "OMP_NUM_THREADS": "7"}
    assert spec["prefill"]["pipelineParallel"] == 2
    assert not any("command" in str(override) for override in spec.get("overrides", ()))


FORMATS = [
    ("isvc: {model_name: m}", "OME"),
    ("deploy_config: {job_name: chat}", "infer-operator-deploy-tool"),
    ("{apiVersion: mindcluster.huawei.com/v1, kind: InferServiceSet, metadata: {name: a}}", "InferServiceSet"),
    ("{apiVersion: apps/v1, kind: StatefulSet, metadata: {name: a}}", "kind StatefulSet"),
    ("{apiVersion: v1, kind: List, items: [{apiVersion: v1, kind: Service}, {kind: Deployment}]}", "a Deployment"),
    ("{npu_per_node: 16, templates: []}", "vllm-ascend"),
    ("#!/bin/bash\nvllm serve /m\n", "a shell script"),
]


@pytest.mark.parametrize(("text", "name"), FORMATS)
def test_other_formats_are_named(
    text: str, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "in.yaml").write_text(text)
    monkeypatch.chdir(tmp_path)
    assert main(["import", "in.yaml"]) == 1
    told = capsys.readouterr().err
    assert name in told
    assert "None" not in told
