"""What Kubernetes assumes of a pod where a field is not set."""

from __future__ import annotations

import pytest

from stormc.facts.pods import seconds_until_failure


@pytest.mark.parametrize(
    ("probe", "seconds"),
    [
        ({}, 30),
        ({"failureThreshold": 180}, 1800),
        ({"periodSeconds": 5}, 15),
        ({"initialDelaySeconds": 60, "failureThreshold": 2, "periodSeconds": 5}, 70),
    ],
)
def test_a_probe_fails_after_its_delay_and_every_attempt(probe: dict[str, int], seconds: int) -> None:
    assert seconds_until_failure(probe) == seconds
