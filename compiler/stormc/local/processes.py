"""Processes of pods as a container runtime sees them: they end with the run, and with their first process."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
from pathlib import Path

LIBC = ctypes.CDLL(None)
PR_SET_PDEATHSIG = 1  # linux/prctl.h


def end_with_parent() -> None:
    """Has the kernel stop a pod whose run was killed: its address would answer in the next run. Runs in the child."""
    LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def kill_session(leader: int) -> None:
    """Kills what a pod's first process started as well: the end of the first ends them all, as in a container."""
    some_alive = True
    while some_alive:
        some_alive = False
        for entry in os.listdir("/proc"):
            if entry.isdigit() and _session(entry) == (leader, True):
                some_alive = True
                with contextlib.suppress(ProcessLookupError):
                    os.kill(int(entry), signal.SIGKILL)


def _session(pid: str) -> tuple[int, bool]:
    """The session of a process and whether it is alive (proc(5): the fields after the name in brackets)."""
    try:
        fields = Path("/proc", pid, "stat").read_bytes().rpartition(b")")[2].split()
    except OSError:
        return 0, False
    return int(fields[3]), fields[0] not in (b"Z", b"X")
