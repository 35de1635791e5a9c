"""What all tests share: hypothesis without deadlines, because two cores are shared, and the programs of e2e-tools."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

import pytest
from hypothesis import HealthCheck, settings

settings.register_profile(
    "stormc", deadline=None, max_examples=60, print_blob=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("stormc")

PROGRAMS = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "stormc" / "e2e"
os.environ["PATH"] += f"{os.pathsep}{PROGRAMS}"  # kubectl, where the machine has none


@pytest.fixture(scope="session", autouse=True)
def _cache_of_the_run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Renders remember in a directory of the test run, not in that of the user."""
    with mock.patch.dict(os.environ, XDG_CACHE_HOME=str(tmp_path_factory.mktemp("cache"))):
        yield
