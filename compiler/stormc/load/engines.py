"""What is known of each vllm-ascend release line: facts/engines/*.json, written by tools/engine_facts.py."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from functools import cache, cached_property
from pathlib import Path
from typing import Any

from stormc.facts.limits import NEWEST_STABLE_ENGINE
from stormc.load.releases import version
from stormc.record import NamedTuple

FOLDER = Path(__file__).parents[1] / "facts" / "engines"
_TAG = re.compile(r":v?(\d+)\.(\d+)[^/@]*(?:@|$)")


class EngineFacts(NamedTuple):
    """A release line of vllm-ascend, as its sources have it.

    The kind of a flag is a word (switch, once, int, size, float, text, json, object, maybe), a list of choices, or
    {"words": kind}. `refuses` and `does` name what the release does, each with file and line of its source.
    """

    release: str
    vllm_ascend: str
    vllm: str
    recommended: str
    direct_ports: int
    """Ports per NPU that Mooncake's AscendDirect takes from 20000 on."""
    connectors: Mapping[str, str]
    refuses: Mapping[str, str]
    does: Mapping[str, str]
    short: Mapping[str, str]
    flags: Mapping[str, Any]
    env: frozenset[str]
    removed_flags: Mapping[str, str]
    removed_env: Mapping[str, str]
    renamed_env: Mapping[str, str]


class Engines:
    """The release lines by name. A line is read when it is asked for, and only once."""

    def __init__(self, folder: Path = FOLDER) -> None:
        self.folder = folder
        self._known: dict[str, EngineFacts] = {}

    @cached_property
    def releases(self) -> tuple[str, ...]:
        """The names of all lines, oldest first."""
        return tuple(sorted((file.stem for file in self.folder.glob("*.json")), key=version))

    @property
    def newest(self) -> str:
        """The newest line that is no release candidate: what holds where nothing else is known."""
        return NEWEST_STABLE_ENGINE

    def __getitem__(self, release: str) -> EngineFacts:
        """The facts of a line. Raises KeyError for one that is unknown."""
        if release not in self._known:
            try:
                data = json.loads((self.folder / f"{release}.json").read_bytes())
            except OSError:
                raise KeyError(release) from None
            self._known[release] = _facts(data)
        return self._known[release]

    def of_image(self, image: str) -> str | None:
        """The line that an image's tag names, or None for a digest, another tag, or a line that is unknown.

        The oldest line for a tag before it: of all that are known it differs least.
        """
        match = _TAG.search(image)
        release = f"{match[1]}.{match[2]}" if match else ""
        if match and version(release) < version(self.releases[0]):
            return self.releases[0]
        return release if release in self.releases else None


def _facts(data: Mapping[str, Any]) -> EngineFacts:
    return EngineFacts(
        release=data["release"], vllm_ascend=data["vllmAscend"], vllm=data["vllm"], recommended=data["recommended"],
        direct_ports=data["directPorts"], connectors=data["connectors"], refuses=data["refuses"], does=data["does"],
        short=data["short"], flags=data["flags"], env=frozenset(data["env"]), removed_flags=data["removedFlags"],
        removed_env=data["removedEnv"], renamed_env=data["renamedEnv"],
    )  # fmt: skip


@cache
def read_engines() -> Engines:
    """The engine facts that come with stormc. Read once: the files are part of the installation, as the code is."""
    return Engines()
