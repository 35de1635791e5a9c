"""Numbers about requests and instances, in Prometheus' text format and as JSON for the status page."""

from __future__ import annotations

import asyncio
import importlib
from bisect import bisect_left
from collections import Counter, deque
from collections.abc import Iterable, Mapping, Sized
from typing import Any, Protocol

from stormc_proxy.fleet.affinity import Affinity
from stormc_proxy.fleet.instance import EXPECTED, FAULTY, HEALTHY, LEAVING, Instance
from stormc_proxy.fleet.pool import Pool
from stormc_proxy.http.resolver import Resolver
from stormc_proxy.outcomes import Outcome
from stormc_proxy.telemetry.counts import Counts
from stormc_proxy.telemetry.journal import Record
from stormc_proxy.telemetry.latency import Recent
from stormc_proxy.telemetry.loop_lag import LoopLag

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
        """Count one duration."""
        self.counts[bisect_left(BUCKETS, seconds)] += 1
        self.total += seconds

    def lines(self, name: str, help_text: str) -> Iterable[str]:
        """The histogram in Prometheus' text format."""
        yield f"# HELP {name} {help_text}"
        yield f"# TYPE {name} histogram"
        below = 0
        for bound, count in zip((*map(str, BUCKETS), "+Inf"), self.counts, strict=True):
            below += count
            yield f'{name}_bucket{{le="{bound}"}} {below}'
        yield f"{name}_sum {self.total:.6f}"
        yield f"{name}_count {below}"


class Routing(Protocol):
    """The router, as far as numbers are concerned."""

    loop: asyncio.AbstractEventLoop
    pools: dict[str, Pool]
    affinity: Affinity
    resolver: Resolver
    counts: Counts

    @property
    def rendezvous(self) -> Sized:
        """Requests at decode that may call back."""


class Metrics:
    """Everything that is counted, apart from what the instances know of themselves."""

    def __init__(self, router: Routing, lag: LoopLag, worker: int | None = None) -> None:
        """All zero; `worker` is the number of one process among several."""
        self._router, self._lag, self._worker = router, lag, worker
        self.internal_errors = 0
        self.active = self.finished = self.tokens = self._failed = 0
        self.requests: Counter[tuple[str, str, int]] = Counter()
        self.events: Counter[tuple[str, str, str]] = Counter()
        self.prefill, self.first_byte, self.total = Histogram(), Histogram(), Histogram()
        self.history: deque[tuple[int, int, int, int]] = deque(maxlen=HISTORY_SECONDS)
        self._before = (0, 0, 0)
        self._seconds = 0
        self.first_token, self.inter_token = Recent(), Recent()

    def finished_request(self, record: Record, seconds: float) -> None:
        """Count a request that ended, and its times."""
        self.finished += 1
        self._failed += record.outcome not in (Outcome.COMPLETE, Outcome.CLIENT_GONE)
        self.requests[record.path, record.how, record.status] += 1
        self.tokens += record.tokens
        self.total.observe(seconds)
        if record.first_seconds:
            self.first_byte.observe(record.first_seconds)
            if record.stream and record.outcome is Outcome.COMPLETE:
                self.first_token.observe(record.first_seconds)
                if record.tokens > 1:
                    self.inter_token.observe((seconds - record.first_seconds) / (record.tokens - 1))
        if record.prefill_seconds:
            self.prefill.observe(record.prefill_seconds)

    def refused_request(self, outcome: Outcome) -> None:
        """A request that no engine saw: not HTTP, no such path, too large, too slow."""
        self.finished += 1
        self._failed += 1
        self.requests["other", outcome.text, outcome.status] += 1

    def instance_event(self, event: str, instance: Instance) -> None:
        """An instance was isolated, readmitted, added, is leaving, was removed."""
        self.events[instance.role, str(instance.address), event] += 1

    def tick(self) -> None:
        """Once a second: one more point of the history."""
        now = (self.finished, self.tokens, self._failed)
        requests, tokens, failures = (new - old for new, old in zip(now, self._before, strict=True))
        self._before = now
        self.history.append((requests, tokens, failures, self.active))
        self._seconds += 1
        if self._seconds % 60 == 0:
            self.first_token.next_minute()
            self.inter_token.next_minute()

    def text(self) -> str:
        """For /metrics; what prometheus_client knows of the process comes with it where that library is installed."""
        return "\n".join([*self._lines(), ""]) + self._process_metrics()

    def _process_metrics(self) -> str:
        """Those of prometheus_client; each worker's are its own."""
        text = _process_metrics()
        if self._worker is None:
            return text
        return _labelled(text, f'worker="{self._worker}"')

    def _lines(self) -> Iterable[str]:
        name = "stormc_proxy_requests_total"
        yield f"# HELP {name} Requests by path, how they ended, and status."
        yield f"# TYPE {name} counter"
        for (path, end, status), count in sorted(self.requests.items()):
            yield f'{name}{{path="{path}",end="{end}",status="{status}"}} {count}'
        for name, kind, text, value in (*self._numbers_of_requests(), *self._numbers_of_the_process()):
            yield f"# HELP stormc_proxy_{name} {text}"
            yield f"# TYPE stormc_proxy_{name} {kind}"
            yield f"stormc_proxy_{name} {value}"
        yield from self._prefix_lines()
        yield from self.prefill.lines("stormc_proxy_prefill_seconds", "Time of the prefill that succeeded.")
        yield from self.first_byte.lines("stormc_proxy_first_byte_seconds", "Time to the answer's first byte.")
        yield from self.total.lines("stormc_proxy_request_seconds", "Time of the whole request.")
        yield from self._instance_lines()

    def _numbers_of_requests(self) -> Iterable[tuple[str, str, str, object]]:
        counts = self._router.counts
        yield "active_requests", "gauge", "Requests that run.", self.active
        yield "tokens_total", "counter", "Chunks of streams, and completion tokens of whole answers.", self.tokens
        yield "retries_total", "counter", "Attempts after the first one.", counts.retries
        yield "recomputes_total", "counter", "Answers that decode gave up and that were resumed.", counts.recomputes
        yield "resumes_total", "counter", "Streams that went on at another decode instance.", counts.resumes
        yield "alone_total", "counter", "Requests that decode served without prefill.", counts.alone
        yield "farewells_total", "counter", "KV caches of prefill that nobody needed any more.", counts.farewells
        yield "kept_kv_caches_expired_total", "counter", "Of those, the ones that no decode fetched.", counts.expired
        yield "unoffered_kv_caches_total", "counter", "Prefills that offered decode no KV cache.", counts.unoffered

    def _numbers_of_the_process(self) -> Iterable[tuple[str, str, str, object]]:
        router, delay = self._router, f"{self._lag.take_worst():.4f}"
        yield "resolver_failures_total", "counter", "Names that could not be resolved anew.", router.resolver.failures
        yield "loop_stalls_total", "counter", "Times that this process stood still.", self._lag.stalls
        yield "internal_errors_total", "counter", "Mistakes of the proxy itself.", self.internal_errors
        yield "loop_lag_seconds", "gauge", "How late this process was at worst since the last look.", delay
        yield "awaited_callbacks", "gauge", "Requests at decode that may call the metaserver.", len(router.rendezvous)

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
            ("score", "gauge", "Load score; +Inf while it gets no requests.", _score),
            ("active_requests", "gauge", "Requests that run on it.", lambda i: i.active),
            ("failures", "gauge", "Failures that count towards isolation.", lambda i: i.failures),
            ("requests_total", "counter", "Requests that it was given.", lambda i: i.requests),
            ("failed_requests_total", "counter", "Requests that failed at its fault.", lambda i: i.failed_requests),
        ):
            yield f"# HELP stormc_proxy_instance_{name} {text}"
            yield f"# TYPE stormc_proxy_instance_{name} {kind}"
            for i in instances:
                yield f'stormc_proxy_instance_{name}{{role="{i.role}",instance="{i.address}"}} {value(i)}'
        name = "stormc_proxy_instance_state"
        yield f"# HELP {name} 1 for the state that an instance is in."
        yield f"# TYPE {name} gauge"
        for i in instances:
            for state in (EXPECTED, HEALTHY, FAULTY, LEAVING):
                yield f'{name}{{role="{i.role}",instance="{i.address}",state="{state}"}} {int(i.state == state)}'
        name = "stormc_proxy_instance_events_total"
        yield f"# HELP {name} Isolations, readmissions and changes of topology."
        yield f"# TYPE {name} counter"
        for (role, address, event), count in sorted(self.events.items()):
            yield f'{name}{{role="{role}",instance="{address}",event="{event}"}} {count}'

    def status(self) -> dict[str, Any]:
        """The numbers as JSON, for /status."""
        counts = self._router.counts
        return {
            "active": self.active, "requests": self.finished, "tokens": self.tokens, "retries": counts.retries,
            "recomputes": counts.recomputes, "resumes": counts.resumes, "alone": counts.alone,
            "awaitedCallbacks": len(self._router.rendezvous),
            "ends": dict(self._ends()), "prefix": self._router.affinity.status(),
            "firstTokenCounts": self.first_token.counts(), "interTokenCounts": self.inter_token.counts(),
            **{role: [shown(instance, self._router.loop.time()) for instance in pool]
               for role, pool in self._router.pools.items()},
            "history": [list(point) for point in self.history],
        }  # fmt: skip

    def _ends(self) -> Mapping[str, int]:
        ends: Counter[str] = Counter()
        for (_, end, _), count in self.requests.items():
            ends[end] += count
        return ends


def _score(instance: Instance) -> object:
    return "+Inf" if instance.state in (FAULTY, EXPECTED) else instance.score


def _labelled(text: str, label: str) -> str:
    """Metrics with one more label."""
    lines = []
    for line in text.splitlines():
        if line and not line.startswith("#"):
            series, _, value = line.rpartition(" ")
            line = f"{series[:-1]},{label}}} {value}" if series.endswith("}") else f"{series}{{{label}}} {value}"
        lines.append(line)
    return "\n".join([*lines, ""])


def shown(instance: Instance, now: float) -> dict[str, Any]:
    """An instance for the status page; an infinite score is null, JSON has no other word for it."""
    ago = round(now - instance.failed_at, 1) if instance.last_failure else None
    return {
        "address": str(instance.address), "state": instance.state, "seen": instance.seen,
        "score": None if instance.state in (FAULTY, EXPECTED) else round(instance.score, 4), "active": instance.active,
        "failures": instance.failures, "requests": instance.requests, "failedRequests": instance.failed_requests,
        "epoch": instance.epoch, "lastFailure": instance.last_failure,
        "lastFailureSecondsAgo": ago,
    }  # fmt: skip


def _process_metrics() -> str:
    try:
        library = importlib.import_module("prometheus_client")
    except ImportError:
        return ""
    text: str = library.generate_latest().decode()
    return text
