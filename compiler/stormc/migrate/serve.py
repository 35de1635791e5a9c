"""`vllm serve` command lines of an original as fields: the launcher starts the same engine from them."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from stormc.facts.keys import Env
from stormc.load.engines import EngineFacts, read_engines
from stormc.migrate.script import read_script
from stormc.model.flags import Command, read_command
from stormc.model.kv import CONFIG, KV_ROLES
from stormc.model.quantity import whole_number
from stormc.record import NamedTuple

PROGRAMS = (
    ("vllm", "serve"),
    ("python", "-m", "vllm.entrypoints.openai.api_server"),
    ("python3", "-m", "vllm.entrypoints.openai.api_server"),
)
"""Beginnings of a command line that start the same server."""
OWNED = frozenset(
    {
        "port", "model", "served-model-name", "tensor-parallel-size", "pipeline-parallel-size", "data-parallel-size",
        "data-parallel-size-local", "data-parallel-rank", "data-parallel-start-rank", "data-parallel-address",
        "data-parallel-rpc-port", "enable-expert-parallel", "headless", "api-server-count", "nnodes", "node-rank",
        "master-addr", "master-port", "prefill-context-parallel-size", "decode-context-parallel-size", "host",
        "distributed-executor-backend",
    }
)  # fmt: skip
"""Flags that fields of the spec say, or the launcher."""
BY_STORMC = (Env.HCCL_IF_IP, Env.GLOO_INTERFACE, Env.TP_INTERFACE, Env.HCCL_INTERFACE, Env.POD_IP, Env.RUNTIME_DEVICES)
"""Variables of a script that stormc sets to what holds in the pod."""
_SELF = "(?:^|:)\\$\\{{?{name}\\}}?(?::|$)"


class Served(NamedTuple):
    """A `vllm serve` and the variables that its script sets, in the form of a spec's env."""

    command: Command
    env: Mapping[str, Any]


def facts_of(image: str) -> EngineFacts:
    """The facts of the release that an image runs, of the newest where its tag names none."""
    engines = read_engines()
    return engines[engines.of_image(image) or engines.newest]


def served(words: Sequence[str], facts: EngineFacts, env: Mapping[str, str] | None = None) -> Served | None:
    """The `vllm serve` that a command line is, by itself or in the end of a shell's script; None for anything else.

    The script may set variables before and read set_env.sh. None for a script that does more, and where a field would
    need the value of a variable that is not known.
    """
    script = read_script(words, env or {})
    length = next((len(p) for p in PROGRAMS if script and script.words[: len(p)] == p), 0)
    if script is None or not length:
        return None
    command = read_command(script.words[length:], facts)
    config = command.flags.get(CONFIG)
    transfers = isinstance(config, Mapping) and config.get("kv_role") in KV_ROLES.values()
    unknown = any("$" in str(value) for name, value in command.flags.items() if name not in OWNED)
    if not command.model or "$" in command.model or not transfers or unknown or command.rest:
        return None
    variables = {name: variable(name, value) for name, value in script.variables.items() if name not in BY_STORMC}
    return None if None in variables.values() else Served(command, variables)


def variable(name: str, value: str) -> Any:
    """What a spec's env has for an exported variable: the text, what goes before the image's own, None if unknown."""
    own = re.search(_SELF.format(name=name), value)
    if own is None:
        return None if "$" in value or "`" in value else value
    parts = [part for part in re.sub(_SELF.format(name=name), ":", value).split(":") if part]
    return {"prepend": ":".join(parts)} if parts and "$" not in "".join(parts) else None


def kv_transfer(config: str | None, facts: EngineFacts, default_port: int) -> tuple[dict[str, Any], str]:
    """The field kvTransfer for a config given as text, and a connector that the release does not know."""
    try:
        settings = json.loads(config or "{}")
    except ValueError:
        return {}, ""
    connector = settings.get("kv_connector") if isinstance(settings, dict) else None
    if not isinstance(connector, str) or connector not in facts.connectors:
        return {}, str(connector or "")
    port = whole_number(str(settings.get("kv_port", "")))
    return {"connector": connector} | ({"port": port} if port not in (None, default_port) else {}), ""


def engine_args(command: Command) -> dict[str, Any]:
    """The flags of a command that no field says, with numbers as numbers."""
    return {name: _typed(value) for name, value in sorted(command.flags.items()) if name not in OWNED}


def texts(flags: Mapping[str, Any]) -> dict[str, str]:
    """The flags whose value is a text or a number, as texts."""
    return {name: str(value) for name, value in flags.items() if type(value) in (str, int, float)}


def _typed(value: Any) -> Any:
    if isinstance(value, str) and re.fullmatch(r"0|-?[1-9][0-9]{0,15}", value):
        return int(value)
    if isinstance(value, str) and re.fullmatch(r"-?[0-9]+\.[0-9]+", value) and str(float(value)) == value:
        return float(value)
    return value
