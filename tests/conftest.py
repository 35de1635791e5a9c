"""Hypothesis: no deadline, because two cores are shared, and examples enough for a suite of five minutes."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

settings.register_profile(
    "stormc", deadline=None, max_examples=60, print_blob=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("stormc")
