"""A few of the random episodes of stress.py; it runs as many as one likes."""

from __future__ import annotations

import pytest

from tests.proxy.stress import episode


@pytest.mark.parametrize("seed", [16, 28, 20, 3012])
@pytest.mark.parametrize("mode", ["layerwise", "standard"])
async def test_whatever_fails_every_request_ends_and_nothing_is_left(mode: str, seed: int) -> None:
    await episode(mode, seed)
