"""Command lines of containers: words, flags, and what stormc's launcher hands to vLLM."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Sequence
from typing import Any

from stormc.facts.pods import SHELLS
from stormc.targets.programs import LAUNCHER_COMMAND

LAUNCHER = list(LAUNCHER_COMMAND)


def words_of(command: Sequence[str]) -> list[str]:
    """The words of a command; where it is a shell's, those of the script."""
    if not command or command[0].rpartition("/")[2] not in SHELLS:
        return list(command)
    words: list[str] = []
    for text in command:
        try:
            words += shlex.split(text.replace("\\\n", " "), comments=True)
        except ValueError:
            words += text.split()
    return words


def flags_of(words: Sequence[str]) -> dict[str, str]:
    """The flags of a command line with their values, without dashes; the model of `vllm serve MODEL` too."""
    short = {"-tp": "--tensor-parallel-size", "-dp": "--data-parallel-size"}
    flags: dict[str, str] = {}
    for index, word in enumerate(words):
        name, sign, value = short.get(word, word).partition("=")
        if name.startswith("--") and len(name) > 2:
            after = words[index + 1] if index + 1 < len(words) and not words[index + 1].startswith("--") else ""
            flags[name[2:].replace("_", "-")] = value if sign else after
    if "serve" in words[:-1] and not (after := words[words.index("serve") + 1]).startswith("-"):
        flags.setdefault("model", after)
    return flags


def engine_arguments(ours: Any, theirs: Any) -> dict[str, Any] | None:
    """What engineArgs makes of our command the original's, where both run stormc's launcher; else None."""
    if not isinstance(ours, list) or not isinstance(theirs, list) or not ours[:2] == theirs[:2] == LAUNCHER:
        return None
    our_flags, their_flags = _launched(ours), _launched(theirs)
    if our_flags is None or their_flags is None:
        return None
    changed = {flag: value for flag, value in their_flags.items() if our_flags.get(flag) != value}
    return changed | {flag: None for flag in our_flags if flag not in their_flags}


def _launched(words: list[str]) -> dict[str, Any] | None:
    """The vLLM flags behind the launcher's arguments and `-- vllm serve PATH`."""
    if "--" not in words:
        return None
    flags: dict[str, Any] = {}
    for word in words[words.index("--") + 4 :]:
        name, sign, value = word.removeprefix("--").partition("=")
        flags[name] = _argument(value) if sign else True
    return flags


def _argument(value: str) -> Any:
    if value[:1] in ("{", "["):
        try:
            return json.loads(value)
        except ValueError:
            return value
    return int(value) if re.fullmatch(r"0|[1-9][0-9]{0,15}", value) else value
