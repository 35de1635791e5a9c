"""`vllm serve` command lines of an original as fields: the launcher starts the same engine from them."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from stormc.load.engines import EngineFacts, read_engines
from stormc.model.flags import Command, read_command

SHELLS = ("sh", "bash", "dash", "ash", "zsh")
OWNED = frozenset(
    {
        "port", "model", "served-model-name", "tensor-parallel-size", "pipeline-parallel-size", "data-parallel-size",
        "data-parallel-size-local", "data-parallel-rank", "data-parallel-start-rank", "data-parallel-address",
        "data-parallel-rpc-port", "enable-expert-parallel", "headless", "api-server-count", "nnodes", "node-rank",
        "master-addr", "prefill-context-parallel-size", "decode-context-parallel-size", "host",
        "distributed-executor-backend",
    }
)  # fmt: skip
"""Flags that fields of the spec say, or the launcher."""


def facts_of(image: str) -> EngineFacts:
    """The facts of the release that an image runs, of the newest where its tag names none."""
    engines = read_engines()
    return engines[engines.of_image(image) or engines.newest]


def served(words: Sequence[str], facts: EngineFacts) -> Command | None:
    """The `vllm serve` that a command line is, by itself or as the only command of a shell; None for anything else.

    A script that does more, or whose words are variables, is a program of its own.
    """
    flat = list(words)
    if flat and flat[0].rpartition("/")[2] in SHELLS:
        if len(flat) != 3 or flat[1] not in ("-c", "-lc"):
            return None
        script = flat[2].replace("\\\n", " ").strip()
        if re.search(r"[;|&`\n<>]|\$\(", script):
            return None
        try:
            flat = shlex.split(script)
        except ValueError:
            return None
        flat = flat[1:] if flat[:1] == ["exec"] else flat
    if flat[:2] != ["vllm", "serve"] or any("$" in word for word in flat):
        return None
    command = read_command(flat[2:], facts)
    config = command.flags.get("kv-transfer-config")
    transfers = isinstance(config, Mapping) and "Mooncake" in str(config)
    return command if command.model and transfers and not command.rest else None


def engine_args(command: Command) -> dict[str, Any]:
    """The flags of a command that no field says, with numbers as numbers."""
    return {name: _typed(value) for name, value in sorted(command.flags.items()) if name not in OWNED}


def _typed(value: Any) -> Any:
    if isinstance(value, str) and re.fullmatch(r"0|-?[1-9][0-9]{0,15}", value):
        return int(value)
    if isinstance(value, str) and re.fullmatch(r"-?[0-9]+\.[0-9]+", value) and str(float(value)) == value:
        return float(value)
    return value
