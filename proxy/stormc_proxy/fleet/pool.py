"""The instances of one role: who is least loaded, who is faulty, and when a fault begins and ends.

The isolation rule is MindCluster's (k8s-deploy-tool guide, chapter on fault isolation): a failed request or probe adds
one to the instance's failures; when they exceed the threshold it is faulty and its score infinite; only a probe that
succeeds ends the fault, with score and failures at 0. Loads are whole numbers, so that their sums are exact.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from heapq import heapify, heappop, heappush

from stormc_proxy.fleet.instance import EXPECTED, FAULTY, HEALTHY, LEAVING, SCALE, Instance
from stormc_proxy.fleet.lease import Lease
from stormc_proxy.fleet.pool_policy import PoolPolicy
from stormc_proxy.fleet.prefill_choice import Offer, cheapest
from stormc_proxy.fleet.prompt_keys import Prompt
from stormc_proxy.outcomes import Outcome
from stormc_proxy.settings import Address


class Pool:
    """The instances of a role in a heap by load, ties to the least recently picked one. All operations O(log n)."""

    def __init__(
        self,
        role: str,
        addresses: Iterable[Address],
        policy: PoolPolicy,
        clock: Callable[[], float],
        notify: Callable[[str, Instance], None] = lambda event, instance: None,
    ) -> None:
        """`notify(event, instance)` hears of: isolated, readmitted, arrived, added, leaving, removed."""
        self.role, self.policy, self._clock, self._notify = role, policy, clock, notify
        self.instances: dict[Address, Instance] = {}
        self._heap: list[tuple[float, int, int, Instance]] = []
        self._stamp = self._picks = 0
        self._slow: set[Instance] = set()
        self.usable = 0
        for address in addresses:
            self._insert(Instance(role, address, clock()))

    def __iter__(self) -> Iterator[Instance]:
        """All instances, leaving ones included."""
        return iter(self.instances.values())

    @property
    def ready(self) -> bool:
        """Whether a healthy instance has shown that it is there, by a probe or an answer."""
        return any(instance.seen and instance.state == HEALTHY for instance in self)

    def available(self) -> bool:
        """Whether `pick` could find one now."""
        return self.usable > 0 or (self.policy.panic and any(i.state == FAULTY for i in self))

    def other(self, avoid: set[Address]) -> bool:
        """Whether `pick` could find one now that is not in `avoid`."""
        instances = self.instances
        healthy = self.usable - sum(1 for a in avoid if a in instances and instances[a].state == HEALTHY)
        if healthy > 0 or not self.policy.panic or self.usable:
            return healthy > 0
        return any(i.state == FAULTY and i.address not in avoid for i in self)

    # -- choosing ------------------------------------------------------------------------------------------------------

    def pick(
        self,
        load: int,
        avoid: Iterable[Address] = (),
        offers: Callable[[Instance], Iterable[Offer[Instance]]] | None = None,
        weight: float = 0.0,
    ) -> Lease | None:
        """A lease on the least loaded healthy instance not in `avoid`; None when there is none.

        `offers`, given the least loaded one, are instances that have part of the request in their cache, for
        `fleet.prefill_choice`. With `panic`,
        faulty instances are tried when no healthy one exists at all, the fewest failures first.
        """
        matched = 0
        instance = self._least(avoid)
        if instance is None:
            if not self.policy.panic or self.usable:
                return None
            faulty = [i for i in self if i.state == FAULTY and i.address not in set(avoid)]
            if not faulty:
                return None
            instance = min(faulty, key=lambda i: (i.active, i.failures, i.picked))
        elif weight and offers is not None:
            offered = offers(instance)
            if avoid:
                offered = (offer for offer in offered if offer[0].address not in avoid)
            instance, load, matched = cheapest((instance, load, 0), offered, self.queue, weight)
        self._picks += 1
        instance.picked = self._picks
        instance.active += 1
        instance.requests += 1
        instance.load += load
        lease = Lease(self, instance, load, matched)
        self.moved(instance)
        return lease

    def _least(self, avoid: Iterable[Address]) -> Instance | None:
        heap, avoided_entries = self._heap, []
        least_loaded = None
        while heap:
            entry = heap[0]
            instance = entry[3]
            if entry[2] != instance.stamp:
                heappop(heap)
            elif avoid and instance.address in avoid:
                avoided_entries.append(heappop(heap))
            else:
                least_loaded = instance
                break
        for entry in avoided_entries:
            heappush(heap, entry)
        return least_loaded

    def queue(self, instance: Instance) -> float:
        """The load, that of other pods included, and what a slow starter has more; infinite unless healthy."""
        return instance.load + instance.foreign + instance.handicap if instance.state == HEALTHY else math.inf

    shares_choices = False
    """Whether there are other workers, with which choices are shared."""

    def share_choice(self, instance: Instance, prompt: Prompt) -> None:
        """Other workers, if there are any, remember too who has a prompt; one without keys: the cache is empty."""

    def choices_of_others(self) -> Iterable[tuple[Instance, Prompt]]:
        """What other workers told since the last call."""
        return ()

    def moved(self, instance: Instance) -> None:
        """Put the instance where its load belongs; entries of before are recognised by their stamp and skipped."""
        if instance.state != HEALTHY:
            return
        self._stamp = instance.stamp = stamp = self._stamp + 1
        heap = self._heap
        heappush(heap, (instance.load + instance.foreign + instance.handicap, instance.picked, stamp, instance))
        if len(heap) > 64 and len(heap) > 64 + 4 * len(self.instances):
            heap[:] = [entry for entry in heap if entry[2] == entry[3].stamp]
            heapify(heap)

    # -- failing and coming back ---------------------------------------------------------------------------------------

    def succeeded(self, instance: Instance) -> None:
        """A request was answered (4xx included). Failed requests count from 0, unless they are cumulative.

        Failed probes go on counting: an instance whose /health fails is on its way out, whatever it still answers.
        """
        instance.seen = True
        if instance.request_failures and not self.policy.cumulative and instance.state != FAULTY:
            instance.request_failures = 0

    def failed(self, instance: Instance, why: str = "") -> None:
        """A request failed at the instance's fault: refused, reset, timed out, truncated, or 5xx."""
        instance.failed_requests += 1
        instance.request_failures += 1
        instance.note_failure(why, self._clock())
        self._judge(instance)

    def probed(self, instance: Instance, healthy: bool, why: str = "health probe", mute: bool = False) -> None:
        """What a probe found; `mute`: no answer at all.

        A success ends a fault; one on a healthy instance takes back failed probes only.
        """
        instance.mute = mute
        if healthy:
            self._probe_succeeded(instance)
            return
        now = self._clock()
        if not instance.probe_failures and instance.state != FAULTY:
            instance.watched_since = now
        instance.probe_failures += 1
        instance.note_failure(why, now)
        self._judge(instance)
        if self._is_lost(instance):
            self._end_silent(instance)

    def _is_lost(self, instance: Instance) -> bool:
        """Whether an instance whose probe failed is given up; one that leaves is judged like one that stays."""
        failed_often = instance.probe_failures > self.policy.max_failures
        return instance.state == FAULTY or (instance.state == LEAVING and failed_often)

    def _end_silent(self, instance: Instance) -> None:
        """End what has been silent since the probe before, whenever it began.

        A request may choose an instance in the very moment in which it is isolated, and be sent afterwards. With
        `panic` faulty instances are asked on purpose, so only what was there before the fault is given up, and what
        has heard nothing for as long as it takes to isolate an instance, while that one answers no probe either.
        """
        panics = self.policy.panic and not self.usable
        if panics and instance.mute:
            patience = (self.policy.max_failures + 1) * self.policy.probe_interval
            instance.watched_since = max(instance.watched_since, self._clock() - patience)
        for exchange in [e for e in instance.exchanges if e.stalled_since(instance.watched_since)]:
            exchange.abort(Outcome.UNHEALTHY)
        if not panics:
            instance.watched_since = self._clock()

    def _probe_succeeded(self, instance: Instance) -> None:
        """What a successful probe changes: an expected instance arrives, a faulty one may return."""
        if instance.state == LEAVING:
            instance.probe_failures = 0
            return
        now, first = self._clock(), not instance.seen
        instance.seen = True
        if instance.state == EXPECTED:
            self._arrive(instance, "answers")
            if first:
                self._notify("arrived", instance)
        elif instance.state == FAULTY:
            if now >= instance.readmit_at:
                self._readmit(instance, now)
        elif not self.policy.cumulative:
            instance.probe_failures = 0

    def _failures(self, instance: Instance) -> int:
        """The failures that count towards isolation."""
        return instance.failures

    def _judge(self, instance: Instance) -> None:
        if instance.state != HEALTHY or self._failures(instance) <= self.policy.max_failures:
            return
        isolated = sum(1 for i in self if i.state == FAULTY) + 1
        if isolated * 100 > self.policy.max_isolated_percent * len(self.instances):
            return
        self._isolate(instance)

    def _isolate(self, instance: Instance) -> None:
        now = self._clock()
        if now - instance.changed_at > 10 * max(self.policy.max_backoff, self.policy.probe_interval):
            instance.faults = 0
        instance.faults += 1
        wait = min(self.policy.max_backoff, self.policy.probe_interval * 2 ** min(instance.faults - 1, 20))
        instance.readmit_at = now + wait if self.policy.max_backoff else now
        instance.step("fails too often")
        if not instance.probe_failures:
            instance.watched_since = now
        instance.changed_at, instance.stamp, instance.handicap = now, 0, 0
        self._slow.discard(instance)
        self.usable -= 1
        self._notify("isolated", instance)

    def _readmit(self, instance: Instance, now: float) -> None:
        others = [i.load for i in self if i.state == HEALTHY]
        instance.step("probe succeeds")
        instance.changed_at = now
        instance.request_failures = instance.probe_failures = 0
        instance.epoch += 1
        instance.load = 0
        if self.policy.slow_start and others:
            instance.handicap = max(max(others), SCALE)
            self._slow.add(instance)
        self.usable += 1
        self.moved(instance)
        self._notify("readmitted", instance)

    def tick(self) -> None:
        """Once a second or so: let slow starters take more."""
        now = self._clock()
        for instance in list(self._slow):
            share_left = 1 - (now - instance.changed_at) / self.policy.slow_start if self.policy.slow_start else 0
            instance.handicap = int(instance.handicap * share_left) if share_left > 0 else 0
            if not instance.handicap:
                self._slow.discard(instance)
            self.moved(instance)

    # -- topology ------------------------------------------------------------------------------------------------------

    def replace(self, addresses: Iterable[Address]) -> None:
        """Make these the instances: new ones appear, missing ones take no more requests and go when they are done.

        Beside others that work, a new one takes no request before a probe found it: it may load its model for long.
        `notify` hears of it, and lets it be probed at once.
        """
        addresses_to_have = dict.fromkeys(addresses)
        stays = any(i.state == HEALTHY and i.seen and i.address in addresses_to_have for i in self)
        for address in addresses_to_have:
            instance_there = self.instances.get(address)
            if instance_there is None and stays:
                self._expect(Instance(self.role, address, self._clock()))
            elif instance_there is None:
                self.add(address)
            elif instance_there.state == LEAVING:
                self._arrive(instance_there, "comes back")
        for instance in list(self):
            if instance.address not in addresses_to_have:
                self.remove(instance.address)
        if not self.usable:  # nobody is left to wait beside
            for instance in self:
                if instance.state == EXPECTED:
                    self._arrive(instance, "is needed")
        self.sweep()

    def add(self, address: Address) -> None:
        """A new, healthy instance; one that was leaving stays."""
        instance_there = self.instances.get(address)
        if instance_there is None:
            instance = Instance(self.role, address, self._clock())
            self._insert(instance)
            self._notify("added", instance)
        elif instance_there.state == LEAVING:
            self._arrive(instance_there, "comes back")

    def remove(self, address: Address) -> None:
        """No new requests; gone when the last one is done."""
        instance = self.instances.get(address)
        if instance is None or instance.state == LEAVING:
            return
        if instance.state == HEALTHY:
            self.usable -= 1
        instance.step("is taken out")
        instance.stamp, instance.changed_at = 0, self._clock()
        self._slow.discard(instance)
        self._notify("leaving", instance)
        self.sweep()

    def sweep(self) -> None:
        """Forget instances that have left."""
        for instance in [i for i in self if i.state == LEAVING and not i.active]:
            del self.instances[instance.address]
            instance.step("is done")
            self._notify("removed", instance)

    def _expect(self, instance: Instance) -> None:
        self.instances[instance.address] = instance
        self._notify("added", instance)

    def _insert(self, instance: Instance) -> None:
        self.instances[instance.address] = instance
        self._arrive(instance, "is needed")

    def _arrive(self, instance: Instance, event: str) -> None:
        instance.step(event)
        instance.changed_at = self._clock()
        instance.request_failures = instance.probe_failures = 0
        self.usable += 1
        self.moved(instance)
