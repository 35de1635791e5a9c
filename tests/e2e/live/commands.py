"""kubectl, as people and pages use it."""

from __future__ import annotations

import subprocess
from collections.abc import Iterable
from pathlib import Path

from tests.e2e.conftest import binary
from tests.e2e.live.control_plane import ControlPlane


def kubectl(plane: ControlPlane, words: Iterable[str], directory: Path | None = None) -> str:
    """What kubectl prints; fails with its complaint."""
    program = binary("kubectl")
    assert program
    done = subprocess.run(
        [program, f"--kubeconfig={plane.kubeconfig}", *words],
        cwd=directory,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout
