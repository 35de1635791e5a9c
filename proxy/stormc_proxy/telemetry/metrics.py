"""Numbers about requests and instances, in Prometheus' text format and as JSON for the status page."""

from __future__ import annotations

import importlib
from bisect import bisect_left
from collections import Counter, deque
from collections.abc import Iterable, Mapping
from typing import Any

from stormc_proxy.fleet.pool import FAULTY, HEALTHY, Instance
from stormc_proxy.flow.route import Router
from stormc_proxy.telemetry.journal import Record

BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)
HISTORY_SECONDS = 300
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class Histogram:
    """Counts of seconds by upper bound."""

    __slots__ = ("counts", "total")

    def __init__(self) -> None:
        """Empty."""
        self.counts, self.total = [0] * (len(BUCKETS) + 1), 0.0

    def observe(self, seconds: float) -> None:
        """One more."""
        self.counts[bisect_left(BUCKETS, seconds)] += 1
        self.total += seconds

    def lines(self, name: str, help_text: str) -> Iterable[str]:
        """In the text format."""
        yield f"# HELP {name} {help_text}"
        yield f"# TYPE {name} histogram"
        below = 0
        for bound, count in zip((*map(str, BUCKETS), "+Inf"), self.counts, strict=True):
            below += count
            yield f'{name}_bucket{{le="{bound}"}} {below}'
        yield f"{name}_sum {self.total:.6f}"
        yield f"{name}_count {below}"


class Metrics:
    """Everything that is counted, apart from what the instances know of themselves."""

    def __init__(self, router: Router) -> None:
        """All zero."""
        self._router = router
        self.active = self.finished = 0
        self.requests: Counter[tuple[str, str, int]] = Counter()
        self.events: Counter[tuple[str, str, str]] = Counter()
        self.prefill, self.first_byte, self.total = Histogram(), Histogram(), Histogram()
        self.history: deque[tuple[int, int, int, int]] = deque(maxlen=HISTORY_SECONDS)
        self._before = (0, 0, 0)

    def finished_request(self, record: Record, seconds: float) -> None:
        """A request ended."""
        self.finished += 1
        self.requests[record.path, record.end, record.status] += 1
        self._router.tokens += record.tokens
        self.total.observe(seconds)
        if record.first_seconds:
            self.first_byte.observe(record.first_seconds)
        if record.prefill_seconds:
            self.prefill.observe(record.prefill_seconds)

    def instance_event(self, event: str, instance: Instance) -> None:
        """An instance was isolated, readmitted, added, is leaving, was removed."""
        self.events[instance.role, str(instance.address), event] += 1

    def tick(self) -> None:
        """Once a second: one more point of the history."""
        failed = sum(count for (_, end, _), count in self.requests.items() if end not in ("complete", "client_gone"))
        now = (self.finished, self._router.tokens, failed)
        requests, tokens, failures = (new - old for new, old in zip(now, self._before, strict=True))
        self._before = now
        self.history.append((requests, tokens, failures, self.active))

    def text(self) -> str:
        """For /metrics; what prometheus_client knows of the process comes with it where that library is installed."""
        return "\n".join([*self._lines(), ""]) + _process_metrics()

    def _lines(self) -> Iterable[str]:
        name = "stormc_proxy_requests_total"
        yield f"# HELP {name} Requests by path, how they ended, and status."
        yield f"# TYPE {name} counter"
        for (path, end, status), count in sorted(self.requests.items()):
            yield f'{name}{{path="{path}",end="{end}",status="{status}"}} {count}'
        router = self._router
        for name, kind, text, value in (
            ("active_requests", "gauge", "Requests that run.", self.active),
            ("tokens_total", "counter", "Chunks of streams, and completion tokens of whole answers.", router.tokens),
            ("retries_total", "counter", "Attempts after the first one.", router.retries),
            ("recomputes_total", "counter", "Answers that decode gave up and that were resumed.", router.recomputes),
            ("awaited_callbacks", "gauge", "Requests at decode that may call the metaserver.", len(router.rendezvous)),
        ):
            yield f"# HELP stormc_proxy_{name} {text}"
            yield f"# TYPE stormc_proxy_{name} {kind}"
            yield f"stormc_proxy_{name} {value}"
        yield from self._prefix_lines()
        yield from self.prefill.lines("stormc_proxy_prefill_seconds", "Time of the prefill that succeeded.")
        yield from self.first_byte.lines("stormc_proxy_first_byte_seconds", "Time to the answer's first byte.")
        yield from self.total.lines("stormc_proxy_request_seconds", "Time of the whole request.")
        yield from self._instance_lines()

    def _prefix_lines(self) -> Iterable[str]:
        affinity = self._router.affinity
        for name, kind, text, value in (
            ("prompt_tokens_total", "counter", "Prompt tokens of prefills that report their cache.",
             affinity.prompt_tokens),
            ("cached_tokens_estimated_total", "counter", "Of these, tokens that should have been in the cache.",
             affinity.estimated_tokens),
            ("cached_tokens_reported_total", "counter", "Of these, tokens that were in the cache.",
             affinity.reported_tokens),
            ("prefix_keys", "gauge", "Prefixes that are remembered.", len(affinity.index)),
            ("prefix_bytes", "gauge", "Memory of the remembered prefixes.", affinity.index.size_bytes),
        ):  # fmt: skip
            yield f"# HELP stormc_proxy_{name} {text}"
            yield f"# TYPE stormc_proxy_{name} {kind}"
            yield f"stormc_proxy_{name} {value}"

    def _instance_lines(self) -> Iterable[str]:
        instances = [instance for pool in self._router.pools.values() for instance in pool]
        for name, kind, text, value in (
            ("up", "gauge", "1 while healthy.", lambda i: int(i.state == HEALTHY)),
            ("score", "gauge", "Load score; +Inf while faulty.", lambda i: "+Inf" if i.state == FAULTY else i.score),
            ("active_requests", "gauge", "Requests that run on it.", lambda i: i.active),
            ("failures", "gauge", "Failures that count towards isolation.", lambda i: i.failures),
            ("requests_total", "counter", "Requests that it was given.", lambda i: i.requests),
            ("failed_requests_total", "counter", "Requests that failed at its fault.", lambda i: i.failed_requests),
        ):
            yield f"# HELP stormc_proxy_instance_{name} {text}"
            yield f"# TYPE stormc_proxy_instance_{name} {kind}"
            for i in instances:
                yield f'stormc_proxy_instance_{name}{{role="{i.role}",instance="{i.address}"}} {value(i)}'
        name = "stormc_proxy_instance_events_total"
        yield f"# HELP {name} Isolations, readmissions and changes of topology."
        yield f"# TYPE {name} counter"
        for (role, address, event), count in sorted(self.events.items()):
            yield f'{name}{{role="{role}",instance="{address}",event="{event}"}} {count}'

    def status(self) -> dict[str, Any]:
        """For /status."""
        return {
            "active": self.active, "requests": self.finished, "tokens": self._router.tokens,
            "retries": self._router.retries, "recomputes": self._router.recomputes,
            "awaitedCallbacks": len(self._router.rendezvous),
            "ends": dict(self._ends()), "prefix": self._router.affinity.status(),
            **{role: [shown(instance) for instance in pool] for role, pool in self._router.pools.items()},
            "history": [list(point) for point in self.history],
        }  # fmt: skip

    def _ends(self) -> Mapping[str, int]:
        ends: Counter[str] = Counter()
        for (_, end, _), count in self.requests.items():
            ends[end] += count
        return ends


def shown(instance: Instance) -> dict[str, Any]:
    """An instance for the status page; an infinite score is null, JSON has no other word for it."""
    return {
        "address": str(instance.address), "state": instance.state, "seen": instance.seen,
        "score": None if instance.state == FAULTY else round(instance.score, 4), "active": instance.active,
        "failures": instance.failures, "requests": instance.requests, "failedRequests": instance.failed_requests,
        "epoch": instance.epoch,
    }  # fmt: skip


def _process_metrics() -> str:
    try:
        library = importlib.import_module("prometheus_client")
    except ImportError:
        return ""
    text: str = library.generate_latest().decode()
    return text
