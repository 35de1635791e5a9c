"""The examples of the repository in front of the real programs."""

from __future__ import annotations

from pathlib import Path

import pytest

from stormc.tree.rendered_app import read_manifests
from tests.e2e.live.cluster import LiveCluster

RENDERED = Path(__file__).parents[3] / "rendered"


@pytest.mark.parametrize("example", ["a2/qwen3-8b", "a3/my-test", "a3/qwen3-moe"])
def test_an_example_becomes_ready(live: LiveCluster, example: str) -> None:
    manifests = read_manifests(RENDERED / example)
    namespace = live.namespace(manifests[0]["metadata"]["namespace"])
    live.apply(manifests, namespace)
    live.until_ready(namespace, example.partition("/")[2])
