"""The rule about the launcher's words holds against the launcher itself."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from stormc.payload import launch
from stormc.rules.engine.launcher_words import _refused
from stormc.targets.programs import LAUNCHER_OPTIONS

SERVE = ["vllm", "serve", "/m", "--port=8000"]
LINES = [
    ["--external-dp", "--", *SERVE],
    ["--independent=2", "--", *SERVE],
    ["--independent", "2", *SERVE],
    ["--prepend", "A=b", "--prepend=C=d", "--head-timeout", "5", "--", *SERVE],
    ["--max-num-seqs=3"],
    ["--tensor-parallel-size", "3", "--", *SERVE],
    ["--external-dp"],
    ["--"],
    [],
]
ENVIRONMENT = {**os.environ, "POD_IP": "10.0.0.1"}


@pytest.mark.parametrize("words", LINES, ids=" ".join)
def test_the_rule_refuses_what_the_launcher_refuses(words: list[str]) -> None:
    run = subprocess.run(
        [sys.executable, launch.__file__, "--print", *words], capture_output=True, text=True, env=ENVIRONMENT
    )
    assert (run.returncode != 0) == (_refused(words) is not None), run.stderr


def test_the_rule_knows_every_option_of_the_launcher() -> None:
    run = subprocess.run([sys.executable, launch.__file__, "--help"], capture_output=True, text=True, check=True)
    described = {line.split()[0].rstrip(",") for line in run.stdout.splitlines() if line.startswith("  --")}
    assert described - {"--"} == LAUNCHER_OPTIONS.keys()
