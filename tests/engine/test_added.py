"""What stormc adds to an engine stands in docs/spec.md, all of it and nothing else."""

from __future__ import annotations

import re
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path

from stormc.payload.launch import Way, extended, plan
from tests.samples import app, container, storm

PAGE = Path(__file__).parents[2] / "docs/spec.md"
SPECS = [
    "{}",
    "expertParallel: true",
    "{image: 'vllm-ascend:v0.23.0', model: {moe: false}}",
    "{prefill: {tensorParallel: 4, pipelineParallel: 2, decodeContextParallel: 2}, decode: {distributedDp: false}}",
    "prefill: {dataParallel: 1, prefillContextParallel: 2}",
    "prefill: {podGroupSize: 2, dataParallel: 1, tensorParallel: 16, pipelineParallel: 2}",
    "hostNetwork: true",
    "kvTransfer: {connector: MooncakeConnectorV1, pool: {connector: AscendStoreConnector}}",
    "engine: {script: {hostPath: /scripts, command: bash run.sh}}",
    "{hardware: atlas-850, prefill: {tensorParallel: 4}, decode: {dataParallel: 16}}",
]


def table() -> set[str]:
    """The flags and variables of the page's table."""
    section = PAGE.read_text(encoding="utf-8").split("## What stormc adds")[1].split("\n## ")[0]
    rows = [line.split("|")[1] for line in section.splitlines() if line.startswith("|")][2:]
    return {name.partition("=")[0] for row in rows for name in re.findall(r"`([^`]+)`", row)} - {"engine.script"}


def added() -> Iterator[str]:
    """The flags and variables of every engine that the specs make, those of the launcher included."""
    for spec in SPECS:
        for role in app(spec).serving_roles:
            box = container(storm(spec), role.name)
            yield from (entry["name"] for entry in box["env"])
            words = [str(word) for word in box.get("args") or ()]
            if "--" not in words:
                continue
            options, command = words[: words.index("--")], words[words.index("--") + 1 :]
            yield from (word.partition("=")[0] for word in command if word.startswith("--"))
            yield from launched(role.local_ranks if role.independent else 0, options, command, role.pod_group_size)


def launched(independent: int, options: list[str], command: list[str], size: int) -> Iterator[str]:
    way = Way("--external-dp" in options, independent=independent, multi_node="--multi-node" in options)
    for index in range(size):
        pod = {"POD_IP": "10.0.0.1", "STORM_SERVICE_NAME": "a", "PODSET_NAME": "a-roleset-x-decode-1-0"}
        group = {"POD_GROUP_SIZE": str(size), "POD_GROUP_INDEX": str(index)}
        for process in plan(command, way, pod | group):
            yield from (word.partition("=")[0] for word in process.command if word.startswith("--"))
            yield from process.env
    yield from extended({}, ["LD_LIBRARY_PATH=/x"])


def test_the_table_has_everything_that_is_added_and_nothing_else() -> None:
    known, found = table(), set(added())
    assert not {name for name in found if not any(fnmatchcase(name, entry) for entry in known)}
    assert not {entry for entry in known if not any(fnmatchcase(name, entry) for name in found)}
