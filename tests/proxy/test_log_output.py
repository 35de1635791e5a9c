"""A reader of the log that stands still costs lines, never an answer."""

from __future__ import annotations

import fcntl
import json
import os
from io import StringIO
from pathlib import Path

import pytest

from stormc_proxy.telemetry.log_output import MOST_LINES, PIPE_BYTES, LogOutput
from tests.proxy.client import ask, question
from tests.proxy.process import started

ROOM = 2 * PIPE_BYTES


def read(end: int) -> bytes:
    """All that is in a pipe."""
    os.set_blocking(end, False)
    parts = []
    try:
        while data := os.read(end, 65536):
            parts.append(data)
    except BlockingIOError:
        pass
    return b"".join(parts)


@pytest.mark.parametrize("size", [10, 700, PIPE_BYTES - 1, PIPE_BYTES, 3 * PIPE_BYTES])
def test_lines_wait_for_their_reader_and_stay_whole(size: int) -> None:
    reading, writing = os.pipe()
    fcntl.fcntl(writing, 1031, ROOM)  # F_SETPIPE_SZ
    with open(writing, "w", encoding="utf-8") as out:
        output = LogOutput(out)
        lines = [f"{number} " + "x" * size for number in range(60)]
        for line in lines:
            output.write([line])
        assert output.waits == (60 * (size + 4) > ROOM), "it did not stop"
        got = b""
        while output.waits:
            got += read(reading)
            output.write([])
        got += read(reading)
    os.close(reading)
    assert got.decode().splitlines() == lines


def test_lines_that_nobody_reads_are_bounded_and_counted() -> None:
    reading, writing = os.pipe()
    with open(writing, "w", encoding="utf-8") as out:
        output = LogOutput(out)
        output.write("x" * 100 for _ in range(MOST_LINES + 7))
        assert output.waits and output.lost == 7
        os.close(reading)
        output.write(["after the reader went away"])
        assert not output.waits


def test_what_is_no_pipe_is_written_at_once(tmp_path: Path) -> None:
    text = StringIO()
    LogOutput(text).write(["a", "b"])
    assert text.getvalue() == "a\nb\n"
    with open(tmp_path / "log", "w", encoding="utf-8") as out:
        LogOutput(out).write(["a", "ü"])
    assert (tmp_path / "log").read_text(encoding="utf-8") == "a\nü\n"


async def test_requests_are_answered_while_nobody_reads_the_log() -> None:
    async with started("standard", ["--mode", "standard", "--host", "127.0.0.1", "--port", "{port}",
                                    "--prefiller-hosts", "127.0.0.1", "--prefiller-ports", "{prefill}",
                                    "--decoder-hosts", "127.0.0.1", "--decoder-ports", "{decode}"]) as p:  # fmt: skip
        count = 250
        for number in range(count):
            body = question(False, False, text="?", model=f"{number:0128}")
            assert (await ask(p.port, "POST", "/v1/completions", body)).status == 200
        p.process.terminate()
        assert p.process.stdout is not None
        lines = [json.loads(line) for line in p.process.stdout.read().splitlines()]
        assert sum(line["event"] == "request" for line in lines) == count and lines[-1]["event"] == "stopped"
