"""What all tests share: hypothesis without deadlines, because two cores are shared, and the programs of e2e-tools."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

from tests.caches import PROGRAMS

settings.register_profile(
    "stormc", deadline=None, max_examples=60, print_blob=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("stormc")

os.environ["PATH"] += f"{os.pathsep}{PROGRAMS}"  # kubectl, where the machine has none
