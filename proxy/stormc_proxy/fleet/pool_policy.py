"""When an instance is isolated, and how it comes back."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class PoolPolicy:
    """When an instance is isolated and how it comes back."""

    max_failures: int = 3
    cumulative: bool = False
    slow_start: float = 0.0
    max_backoff: float = 0.0
    max_isolated_percent: int = 100
    panic: bool = False
    probe_interval: float = 5.0
