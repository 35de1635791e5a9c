"""The bash that starts the ranks of a pod, run for real with a vllm that only says what it was given."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.samples import container, storm

FAKE_VLLM = """\
#!/bin/bash
echo "$ASCEND_RT_VISIBLE_DEVICES|$*" >> "$OUT"
rank=$(echo "$*" | sed -n 's/.*--data-parallel-rank \\([0-9]*\\).*/\\1/p')
if [ "$rank" = "${FAILS:-none}" ]; then exit "${CODE:-3}"; fi
exec sleep "${SECONDS_TO_RUN:-30}"
"""


def start(tmp_path: Path, overlay: str, role: str, **env: str) -> subprocess.Popen[bytes]:
    (tmp_path / "vllm").write_text(FAKE_VLLM)
    (tmp_path / "vllm").chmod(0o755)
    made = container(storm(overlay), role)
    path = f"{tmp_path}:{os.environ['PATH']}"
    base = {"PATH": path, "OUT": str(tmp_path / "out"), "POD_IP": "10.0.0.7", "STORM_SERVICE_NAME": "qwen3-moe"}
    return subprocess.Popen([*made["command"], *made["args"]], env={**base, **env})


def lines(tmp_path: Path, count: int) -> list[tuple[str, str]]:
    """Devices and flags of the started processes in order of their ports, once there are `count`."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        out = tmp_path / "out"
        found = out.read_text().splitlines() if out.exists() else []
        if len(found) == count:
            pairs = [(line.split("|")[0], line.split("|")[1]) for line in found]
            return sorted(
                pairs, key=lambda pair: int(pair[1].split("--port ")[1].split()[0]) if "--port" in pair[1] else 0
            )
        time.sleep(0.02)
    raise AssertionError(f"{count} processes were expected")


def stop(process: subprocess.Popen[bytes]) -> int:
    process.send_signal(signal.SIGTERM)
    return process.wait(20)


def test_external_ranks_of_the_first_pod(tmp_path: Path) -> None:
    process = start(tmp_path, "{}", "prefill")
    found = lines(tmp_path, 2)
    assert [devices for devices, _ in found] == ["0,1,2,3,4,5,6,7", "8,9,10,11,12,13,14,15"]
    ends = [flags.split('kv_producer"} ')[1] for _, flags in found]
    assert ends == [
        "--port 8080 --data-parallel-rank 0 --data-parallel-address 10.0.0.7",
        "--port 8081 --data-parallel-rank 1 --data-parallel-address 10.0.0.7",
    ]
    assert stop(process) == 0


def test_external_ranks_of_a_later_pod(tmp_path: Path) -> None:
    process = start(tmp_path, "{}", "decode", POD_GROUP_INDEX="1", PODSET_NAME="ps")
    found = lines(tmp_path, 16)
    assert [devices for devices, _ in found] == [str(n) for n in range(16)]
    assert "--data-parallel-rank 16 --data-parallel-address ps-0.qwen3-moe" in found[0][1]
    assert "--port 8095 --data-parallel-rank 31 " in found[15][1]
    assert stop(process) == 0


@pytest.mark.parametrize(("code", "result"), [("3", 3), ("0", 1)])
def test_a_lost_rank_fails_the_pod_and_stops_the_others(tmp_path: Path, code: str, result: int) -> None:
    process = start(tmp_path, "{}", "prefill", FAILS="1", CODE=code)
    assert process.wait(20) == result
    assert len(lines(tmp_path, 2)) == 2


def test_internal_ranks(tmp_path: Path) -> None:
    overlay = "decode: {distributedDp: false}"
    head = start(tmp_path, overlay, "decode", POD_GROUP_INDEX="0", PODSET_NAME="ps")
    ((_, flags),) = lines(tmp_path, 1)
    assert "--port 8080 --api-server-count 1 --data-parallel-address 10.0.0.7" in flags
    assert "--headless" not in flags
    stop(head)
    (tmp_path / "out").unlink()
    worker = start(tmp_path, overlay, "decode", POD_GROUP_INDEX="1", PODSET_NAME="ps")
    ((_, flags),) = lines(tmp_path, 1)
    assert "--headless --data-parallel-start-rank 16 --data-parallel-address ps-0.qwen3-moe" in flags
    assert "--port" not in flags
    stop(worker)


def test_a_single_rank_replaces_the_shell(tmp_path: Path) -> None:
    process = start(tmp_path, "prefill: {dataParallel: 1, tensorParallel: 16}", "prefill", SECONDS_TO_RUN="0.1")
    ((_, flags),) = lines(tmp_path, 1)
    assert flags.endswith("--port 8080")
    assert process.wait(20) == 0
