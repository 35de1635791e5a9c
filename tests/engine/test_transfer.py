"""KV transfer as it is pasted: connectors, ports and sizes, by themselves and inside of a MultiConnector."""

from __future__ import annotations

import json

import pytest

from stormc.load.engines import read_engines
from stormc.rules.engine.connectors import CAME_WITH
from tests.engine.reported import reported
from tests.samples import app, container, storm

SIZES = {"prefill": {"dp_size": 2, "tp_size": 8}, "decode": {"dp_size": 32, "tp_size": 1}}
KINDS = {"prefill": "kv_producer", "decode": "kv_consumer"}


def alone(role: str, connector: str = "MooncakeConnectorV1", port: int = 36000, **extra: object) -> dict[str, object]:
    return {
        "kv_connector": connector, "kv_role": KINDS[role], "kv_port": str(port),
        "kv_connector_extra_config": {**SIZES, **extra},
    }  # fmt: skip


def pool(role: str, name: str = "AscendStoreConnector", **extra: object) -> dict[str, object]:
    return {"kv_connector": name, "kv_role": KINDS[role], "kv_connector_extra_config": {"backend": "memcache", **extra}}


def several(role: str, *inner: dict[str, object]) -> dict[str, object]:
    extra = {"connectors": list(inner)}
    return {"kv_connector": "MultiConnector", "kv_role": KINDS[role], "kv_connector_extra_config": extra}


def pasted(prefill: object, decode: object, fields: str = "kvTransfer: null") -> str:
    """A spec with both configs, as JSON text or as a mapping."""
    args = {"prefill": prefill, "decode": decode}
    roles = ", ".join(
        f"{role}: {{engineArgs: {{kv-transfer-config: {json.dumps(config)}}}}}" for role, config in args.items()
    )
    return f"{{{roles}, {fields}}}"


ACCEPTED = [
    pasted(alone("prefill"), alone("decode", port=36600)),
    pasted(json.dumps(alone("prefill")), json.dumps(alone("decode"), indent=2)),
    pasted(alone("prefill", "MooncakeHybridConnector"), alone("decode", "MooncakeHybridConnector")),
    pasted(alone("prefill", "MooncakeLayerwiseConnector"), alone("decode", "MooncakeLayerwiseConnector", 37000)),
    pasted(several("prefill", alone("prefill"), pool("prefill")), several("decode", alone("decode"), pool("decode"))),
    pasted(
        several("prefill", alone("prefill"), pool("prefill", "UCMConnector")),
        several("decode", alone("decode"), pool("decode"), pool("decode", "RecomputeCPUOffloadConnector")),
    ),
    pasted(several("prefill", alone("prefill"), pool("prefill")), alone("decode")),
    pasted(pool("prefill"), pool("decode")),
    pasted({"kv_buffer_device": "npu"}, {"engine_id": "7"}, "kvTransfer: {connector: MooncakeConnectorV1}"),
]


@pytest.mark.parametrize("spec", ACCEPTED)
def test_what_is_published_is_accepted(spec: str) -> None:
    assert reported(spec) == set()


IN_DECODE = "decode.engineArgs.kv-transfer-config"
WRONG = [
    (pasted(alone("prefill"), {**alone("decode"), "kv_role": "kv_both"}), ("E039", f"{IN_DECODE}.kv_role")),
    (
        pasted(alone("prefill"), alone("decode", decode={"dp_size": 8, "tp_size": 1})),
        ("E039", f"{IN_DECODE}.kv_connector_extra_config.decode.dp_size"),
    ),
    (
        pasted(alone("prefill"), alone("decode", prefill={"dp_size": 2, "tp_size": 4})),
        ("W701", f"{IN_DECODE}.kv_connector_extra_config.prefill.tp_size"),
    ),
    (
        pasted(alone("prefill"), several("decode", pool("decode"), alone("decode", decode={"tp_size": 2}))),
        (
            "E039",
            f"{IN_DECODE}.kv_connector_extra_config.connectors[1].kv_connector_extra_config.decode.tp_size",
        ),
    ),
    (pasted(alone("prefill"), alone("decode", "MooncakeLayerwiseConnector")), ("E039", f"{IN_DECODE}.kv_connector")),
    (pasted(alone("prefill"), pool("decode")), ("E039", f"{IN_DECODE}.kv_connector")),
    (pasted(alone("prefill"), "MooncakeConnectorV1"), ("E703", IN_DECODE)),
    (
        pasted(alone("prefill", "MooncakeConnector"), alone("decode", "MooncakeConnector")),
        ("W727", "prefill.engineArgs.kv-transfer-config.kv_connector"),
    ),
    ("kvTransfer: {extra: {decode: {dp_size: 4}}}", ("E039", "kvTransfer.extra.decode.dp_size")),
    (
        "kvTransfer: {connector: MultiConnector, extra: {connectors: [{kv_connector: MooncakeConnectorV1, "
        "kv_connector_extra_config: {decode: {tp_size: 4}}}, {kv_connector: AscendStoreConnector}]}}",
        ("E039", "kvTransfer.extra.connectors[0].kv_connector_extra_config.decode.tp_size"),
    ),
    ("kvTransfer: {connector: MooncakeHybirdConnector}", ("W727", "kvTransfer.connector")),
]


@pytest.mark.parametrize(("spec", "finding"), WRONG)
def test_what_contradicts_is_found_at_its_place(spec: str, finding: tuple[str, str]) -> None:
    assert finding in reported(spec)
    assert len(reported(spec)) <= 2


def test_a_connector_of_a_later_release_is_no_misspelling() -> None:
    engines = read_engines()
    for name, release in CAME_WITH.items():
        assert next(line for line in engines.releases if name in engines[line].connectors) == release


MODES = [
    (alone("prefill"), "prefill-first"),
    (alone("prefill", "MooncakeLayerwiseConnector"), "decode-first"),
    (several("prefill", pool("prefill", use_layerwise=True), alone("prefill")), "prefill-first"),
    (pool("prefill"), "prefill-first"),
    (pool("prefill", use_layerwise=True), "decode-first"),
]


@pytest.mark.parametrize(("config", "protocol"), MODES)
def test_the_proxy_follows_the_connector(config: dict[str, object], protocol: str) -> None:
    assert app(pasted(config, None)).kv.protocol == protocol


def test_roles_that_meet_in_a_pool_have_no_ports_and_sizes() -> None:
    args = container(storm(pasted(pool("prefill"), pool("decode"))), "decode")["args"]
    config = next(word for word in args if word.startswith("--kv-transfer-config="))
    assert json.loads(config.partition("=")[2]) == pool("decode")
