"""The findings on a spec of an engine, by rule and place."""

from __future__ import annotations

import yaml

from stormc.finding import dotted
from tests.rules.judging import judge
from tests.samples import merge

TODAY = """
image: vllm-ascend:v0.23.0-a3
model: {moe: true}
kvTransfer: {connector: MooncakeConnectorV1}
"""


def reported(overlay: str, base: str = TODAY) -> set[tuple[str, str]]:
    """Rule and place of every finding on the usual app with a current image and the fields of the overlay."""
    fields = merge(yaml.safe_load(base), yaml.safe_load(overlay) or {})
    return {(finding.rule, dotted(finding.path)) for finding in judge(yaml.safe_dump(fields, sort_keys=False))}
