"""Which connector of a config carries KV cache between the roles."""

from __future__ import annotations

from typing import Any

import pytest

from stormc.model.kv import MULTI, carrying
from tests.samples import app

POOL, BETWEEN, UNKNOWN = "AscendStoreConnector", "MooncakeConnectorV1", "ConnectorOfTomorrow"


def config(*names: str) -> dict[str, Any]:
    connectors = [{"kv_connector": name} for name in names]
    return {"kv_connector": MULTI, "kv_connector_extra_config": {"connectors": connectors}}


@pytest.mark.parametrize(
    ("names", "chosen"),
    [
        ([POOL, BETWEEN], BETWEEN),
        ([BETWEEN, POOL], BETWEEN),
        ([UNKNOWN, BETWEEN], BETWEEN),
        ([POOL, UNKNOWN], UNKNOWN),
        ([POOL], POOL),
        ([POOL, POOL], None),
        ([], None),
    ],
)
def test_the_connector_between_the_roles(names: list[str], chosen: str | None) -> None:
    facts = app('image: "vllm-ascend:v0.23.0"').prefill.facts
    found = carrying(config(*names), facts)
    assert (found and found.name) == chosen
