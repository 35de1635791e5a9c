"""Where tests keep things: renders remember in a directory of the test run, not in that of the user.

Set while pytest starts, before any test module copies the environment; workers of pytest-xdist inherit it.
"""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from pathlib import Path

_PROGRAMS, _HOME = "STORMC_TEST_PROGRAMS", "XDG_CACHE_HOME"

if _PROGRAMS not in os.environ:
    _of_the_user = Path(os.environ.get(_HOME) or Path.home() / ".cache")
    os.environ[_PROGRAMS] = str(_of_the_user / "stormc" / "e2e")
    os.environ[_HOME] = tempfile.mkdtemp(prefix="stormc-tests-")
    atexit.register(shutil.rmtree, os.environ[_HOME], ignore_errors=True)

PROGRAMS = Path(os.environ[_PROGRAMS])
"""The programs of `make e2e-tools`: an API server, etcd, kubectl."""
