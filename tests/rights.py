"""A user without rights to the files of others, whoever runs the tests."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterator
from contextlib import contextmanager

DAC_OVERRIDE, DAC_READ_SEARCH = 1, 2
"""The capabilities by which root reads and writes whatever the mode of a file says (capabilities(7))."""


class _Header(ctypes.Structure):
    _fields_ = (("version", ctypes.c_uint32), ("pid", ctypes.c_int))


class _Sets(ctypes.Structure):
    _fields_ = (("effective", ctypes.c_uint32), ("permitted", ctypes.c_uint32), ("inheritable", ctypes.c_uint32))


@contextmanager
def nobody() -> Iterator[None]:
    """Runs as a user for whom the modes of files hold, because root reads everything."""
    if os.geteuid():
        yield
        return
    before = _effective(~(1 << DAC_OVERRIDE | 1 << DAC_READ_SEARCH))
    try:
        yield
    finally:
        _effective(-1, before)


def _effective(mask: int, also: int = 0) -> int:
    """Keeps of the thread's effective capabilities those of the mask, adds others, and returns what was before."""
    library, header, sets = ctypes.CDLL(None, use_errno=True), _Header(0x20080522, 0), (_Sets * 2)()
    assert library.capget(ctypes.byref(header), sets) == 0
    before: int = sets[0].effective
    sets[0].effective = (before & mask | also) & 0xFFFFFFFF
    assert library.capset(ctypes.byref(header), sets) == 0
    return before
