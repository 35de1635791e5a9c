"""What happened to requests on their way, in numbers that only grow."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass
class Counts:
    """Since the process began."""

    retries: int = 0
    """Attempts after the first one."""
    recomputes: int = 0
    """Answers that decode gave up and that went on."""
    resumes: int = 0
    """Streams whose instance died and that went on at another one."""
    alone: int = 0
    """Requests that decode served without prefill."""
    farewells: int = 0
    """KV caches of prefill that nobody needed any more."""
    expired: int = 0
    """Of those, the ones that no decode instance fetched."""
    unoffered: int = 0
    """Prefills that offered decode no KV cache."""
