"""An engine endpoint as the proxy sees it, and what a request weighs there."""

from __future__ import annotations

import math

from stormc_proxy.http.target import RunningExchange
from stormc_proxy.settings import Address
from stormc_proxy.transitions import INSTANCE

SCALE = 10_000_000
"""Units of load per point of the reference's score."""

EXPECTED, HEALTHY, FAULTY, LEAVING, GONE = "expected", "healthy", "faulty", "leaving", "gone"


def prefill_load(length: int, mode: str) -> int:
    """Load of a prefill for a body of `length` bytes: vllm-ascend's (length/4)·0.0345 + 120.0745, times its weight.

    The weight is 1.3 in the layerwise example (tokens + 0.3·KV) and 0.3 in the standard one (KV only), see
    load_balance_proxy_layerwise_server_example.py and load_balance_proxy_server_example.py.
    """
    return (13 if mode == "layerwise" else 3) * (length * 8625 + 120_074_500)


def decode_load(length: int) -> int:
    """Load of a decode for a body of `length` bytes: the length itself, as in both examples."""
    return length * SCALE


class Instance:
    """An engine endpoint with its load, its failures and what it did so far."""

    __slots__ = (
        "active", "address", "changed_at", "epoch", "exchanges", "failed_at", "failed_requests", "faults",
        "foreign", "handicap", "last_failure", "load", "loads", "mute", "name", "picked", "probe_failures",
        "readmit_at", "request_failures", "requests", "role", "row", "seen", "stamp", "state", "watched_since",
    )  # fmt: skip

    def __init__(self, role: str, address: Address, now: float) -> None:
        """One that nobody has asked yet, without load."""
        self.role, self.address, self.state = role, address, INSTANCE.start
        self.name = str(address)
        self.load = self.epoch = self.active = self.handicap = self.foreign = 0
        self.picked = self.stamp = 0
        self.request_failures = self.probe_failures = self.faults = 0
        self.requests = self.failed_requests = 0
        self.changed_at, self.readmit_at = now, 0.0
        self.watched_since = 0.0
        """Exchanges that have been silent since then end with the next failed probe, once it does not serve."""
        self.exchanges: set[RunningExchange] = set()
        self.last_failure, self.failed_at = "", 0.0
        self.seen = self.mute = False
        """`mute`: its last probe brought no answer at all, not even a bad one."""
        self.row, self.loads = -1, memoryview(b"")
        """Where several workers share a table: the instance's row there, and its cells with the load of each worker."""

    def step(self, event: str) -> None:
        """What happened, in the words of transitions.INSTANCE."""
        self.state = INSTANCE[self.state, event]

    @property
    def failures(self) -> int:
        """Failed requests and probes that count towards isolation."""
        return self.request_failures + self.probe_failures

    @property
    def failing(self) -> bool:
        """Whether it failed lately."""
        return self.failures > 0 or self.state == FAULTY

    @property
    def score(self) -> float:
        """The load in the reference's points; infinite while it gets no requests."""
        return math.inf if self.state in (FAULTY, EXPECTED) else self.load / SCALE

    def note_failure(self, why: str, now: float) -> None:
        """Remember why and when it failed, for the log and the status page."""
        self.last_failure, self.failed_at = why, now
