"""The engine facts that come with stormc, against what vLLM's and vllm-ascend's documents say of their releases."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from stormc.load.engines import FOLDER, Engines, read_engines

RELEASES = ("0.11", "0.12", "0.13", "0.18", "0.20", "0.21", "0.23", "0.26", "0.30")
SCALARS = {"switch", "once", "int", "size", "float", "text", "json", "object", "maybe"}

# flag → kind, as `vllm serve --help` of the releases prints it
EVERYWHERE = {
    "max-model-len": "size",
    "max-num-seqs": "int",
    "gpu-memory-utilization": "float",
    "enable-prefix-caching": "switch",
    "enable-chunked-prefill": "switch",
    "trust-remote-code": "switch",
    "enforce-eager": "switch",
    "headless": "once",
    "kv-transfer-config": "json",
    "compilation-config": "json",
    "speculative-config": "json",
    "served-model-name": {"words": "text"},
    "quantization": "text",
    "port": "int",
    "data-parallel-rpc-port": "int",
    "tool-call-parser": "text",
    "scheduling-policy": ["fcfs", "priority"],
    "seed": "int",
}


def test_the_release_lines_are_known_and_in_order() -> None:
    assert read_engines().releases == RELEASES


def test_the_newest_line_is_the_last_that_has_more_than_release_candidates() -> None:
    engines = read_engines()
    assert engines.newest == [line for line in engines.releases if "rc" not in engines[line].vllm_ascend][-1]


@pytest.mark.parametrize("release", RELEASES)
def test_a_release_has_the_flags_that_its_help_prints(release: str) -> None:
    facts = read_engines()[release]
    assert {flag: facts.flags.get(flag) for flag in EVERYWHERE} == EVERYWHERE
    for flag, kind in facts.flags.items():
        known = kind in SCALARS if isinstance(kind, str) else isinstance(kind, list) or kind["words"] in SCALARS
        assert known, (flag, kind)
        assert not flag.startswith("no-") or flag.removeprefix("no-") not in facts.flags
    assert set(facts.short.values()) <= facts.flags.keys()
    assert facts.short["tp"] == "tensor-parallel-size"
    assert facts.connectors["MooncakeLayerwiseConnector"] == "decode-first"
    assert facts.connectors["MooncakeConnectorV1"] == "prefill-first"
    assert facts.connectors[facts.recommended]
    assert not facts.removed_flags.keys() & facts.flags.keys()
    assert not facts.removed_env.keys() & facts.env
    for place in (*facts.refuses.values(), *facts.does.values()):
        assert re.fullmatch(r"(vllm|vllm-ascend) vllm\w*/[\w/.]+:[1-9]\d*", place)


@pytest.mark.parametrize(
    ("fact", "since"),
    [
        ("dense-external-dp", "0.21"),  # vLLM 0.21.0, vllm/engine/arg_utils.py; absent in 0.20.2
        ("dense-ranks-alone", "0.18"),
        ("kv-sizes", "0.13"),
        ("pipeline-with-mtp", "0.23"),
        ("context-with-data", "0.21"),
    ],
)
def test_when_releases_began_to_refuse(fact: str, since: str) -> None:
    assert next(name for name in RELEASES if fact in read_engines()[name].refuses) == since


def test_when_connectors_came_and_variables_went() -> None:
    engines = read_engines()
    having = [name for name in RELEASES if "MooncakeHybridConnector" in engines[name].connectors]
    assert having[0] == "0.20"
    assert engines["0.11"].flags.get("prefill-context-parallel-size") is None
    assert engines["0.23"].removed_env["VLLM_USE_V1"] == "0.11"
    assert "VLLM_ASCEND_ENABLE_FLASHCOMM1" in engines["0.23"].env
    assert engines["0.30"].removed_env["VLLM_ASCEND_ENABLE_FUSED_MC2"] == "0.26"


@pytest.mark.parametrize(
    ("image", "release"),
    [
        ("quay.io/ascend/vllm-ascend:v0.23.0-a3", "0.23"),
        ("vllm-ascend:v0.12.0rc1", "0.12"),
        ("registry:5000/vllm-ascend:0.18.0", "0.18"),
        ("vllm-ascend:v0.23.0@sha256:" + "0" * 64, "0.23"),
        ("vllm-ascend@sha256:" + "0" * 64, None),
        ("vllm-ascend:main", None),
        ("vllm-ascend:v0.99.1", None),
        ("registry:0.23/vllm-ascend:nightly", None),
        ("vllm-ascend", None),
    ],
)
def test_the_release_of_an_image(image: str, release: str | None) -> None:
    assert read_engines().of_image(image) == release


def test_one_release_costs_one_file(tmp_path: Path) -> None:
    for name in ("0.18", "0.23"):
        (tmp_path / f"{name}.json").write_bytes((FOLDER / f"{name}.json").read_bytes())
    engines = Engines(tmp_path)
    assert engines["0.23"].vllm == "0.23.0"
    (tmp_path / "0.23.json").write_text("broken")
    assert engines["0.23"].vllm == "0.23.0"
    with pytest.raises(json.JSONDecodeError):
        Engines(tmp_path)["0.23"]
    with pytest.raises(KeyError):
        engines["0.17"]
