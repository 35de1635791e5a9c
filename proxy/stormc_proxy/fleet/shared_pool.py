"""The pool of a worker among several: loads and faults are those that all workers know of, in one shared table."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator

from stormc_proxy.fleet.choice_log import Choice, OtherWorkers
from stormc_proxy.fleet.instance import EXPECTED, FAULTY, HEALTHY, LEAVING, Instance
from stormc_proxy.fleet.pool import Pool
from stormc_proxy.fleet.prompt_keys import Prompt
from stormc_proxy.fleet.shared_table import SharedTable
from stormc_proxy.settings import Address


class SharedPool(Pool):
    """A pool whose loads and faults are those of all workers; picking looks at every instance instead of a heap."""

    table: SharedTable
    worker: int
    other_workers: OtherWorkers
    _by_row: dict[int, Instance]
    _synced: int
    """The table's changes that are taken over; -1 while there are instances that it was not asked about."""

    shares_choices = True

    def share_choice(self, instance: Instance, prompt: Prompt) -> None:
        """Other workers read it; they know the instance by its row in the table."""
        self.other_workers.share(Choice(instance.row, prompt.session, prompt.size, prompt.keys))

    def choices_of_others(self) -> Iterator[tuple[Instance, Prompt]]:
        """Choices of instances that this worker does not know yet, or no longer, are passed over."""
        for choice in self.other_workers.new_choices():
            instance = self._by_row.get(choice.number)
            if instance is None or self.instances.get(instance.address) is not instance:
                self._by_row = {instance.row: instance for instance in self}
                instance = self._by_row.get(choice.number)
            if instance is not None:
                yield instance, Prompt(choice.keys, choice.session, 0, choice.size)

    def moved(self, instance: Instance) -> None:
        """Write this worker's load on an instance where the other workers read it."""
        instance.loads[self.worker] = instance.load + instance.foreign

    def succeeded(self, instance: Instance) -> None:
        """A success resets the failures of all workers."""
        if not self.table.is_quiet(instance.row):
            if not self.policy.cumulative and instance.state != FAULTY:
                self.table.reset_failures(instance.row)
            self.table.note_seen(instance.row)
        super().succeeded(instance)

    def probed(self, instance: Instance, healthy: bool, why: str = "health probe", mute: bool = False) -> None:
        """As in Pool; the result holds for all workers, as only one of them probes."""
        super().probed(instance, healthy, why, mute)
        row = instance.row
        self.table.set_probe_failures(row, instance.probe_failures)
        if healthy:
            self.table.note_seen(row)

    def sync(self) -> None:
        """Take over what other workers found out."""
        self._synced = self.table.changes()
        for instance in self:
            row = instance.row
            faulty, epoch = self.table.state(row)
            if not self.table.own_failures(row, self.worker):
                instance.request_failures = 0
            instance.probe_failures = self.table.probe_failures(row)
            has_answered = self.table.seen(row)
            if faulty and instance.state == HEALTHY:
                self._isolate(instance)
                instance.watched_since = instance.changed_at
            elif instance.state == FAULTY and not faulty and epoch > instance.epoch:
                self._readmit(instance, self._clock())
            elif instance.state == EXPECTED and has_answered:
                self._arrive(instance, "answers")
            instance.epoch = max(instance.epoch, epoch)
            instance.seen = instance.seen or has_answered

    def tick(self) -> None:
        """Once a second or so. What waits for an instance that fails two probes more waits in vain.

        Only one worker probes; the others learn here what it found.
        """
        self.sync()
        long_ago = self._clock() - 2 * self.policy.probe_interval
        for instance in self:
            if instance.probe_failures and instance.watched_since < long_ago and self._is_lost(instance):
                self._end_silent(instance)
        super().tick()

    def _least(self, avoid: Iterable[Address]) -> Instance | None:
        if self._synced != self.table.changes():
            self.sync()
        avoided = set(avoid)
        least_loaded, lowest = None, math.inf
        for instance in self.instances.values():
            if instance.state == HEALTHY and (not avoided or instance.address not in avoided):
                load = sum(instance.loads) + instance.handicap
                if load < lowest or (
                    load == lowest and least_loaded is not None and instance.picked < least_loaded.picked
                ):
                    least_loaded, lowest = instance, load
        return least_loaded

    def queue(self, instance: Instance) -> float:
        """The load that all workers put on an instance."""
        return sum(instance.loads) + instance.handicap if instance.state == HEALTHY else math.inf

    def _failures(self, instance: Instance) -> int:
        row = instance.row
        self.table.set_failures(row, self.worker, instance.request_failures)
        if instance.probe_failures > self.table.probe_failures(row):
            self.table.set_probe_failures(row, instance.probe_failures)
        return self.table.failures(row) + self.table.probe_failures(row)

    def _isolate(self, instance: Instance) -> None:
        super()._isolate(instance)
        self.table.isolate(instance.row)

    def _expect(self, instance: Instance) -> None:
        self._claim(instance)
        super()._expect(instance)
        self._synced = -1
        instance.epoch = self.table.state(instance.row)[1]

    def _readmit(self, instance: Instance, now: float) -> None:
        super()._readmit(instance, now)
        row = instance.row
        faulty, epoch = self.table.state(row)
        if faulty:  # this worker probes: it found out first
            self.table.reset_failures(row)
            self.table.set_probe_failures(row, 0)
            self.table.readmit(row, max(instance.epoch, epoch + 1))
        instance.epoch = self.table.state(row)[1]

    def _insert(self, instance: Instance) -> None:
        self._claim(instance)
        super()._insert(instance)
        self._synced = -1

    def _claim(self, instance: Instance) -> None:
        """Give a new instance its row in the table."""
        instance.row = self.table.row(self.role, instance.address)
        instance.loads = self.table.loads(instance.row)

    def sweep(self) -> None:
        """Forget instances that have left, and that they were faulty."""
        for instance in self:
            if instance.state == LEAVING and not instance.active:
                self.table.set_load(instance.row, self.worker, 0)
                self.table.forget(instance.row)
        super().sweep()


def shared_pool(table: SharedTable, worker: int) -> type[SharedPool]:
    """The class of pools for one worker, which reads and writes the shared table as that worker."""
    table.worker = worker
    other_workers = OtherWorkers(table.choices, worker)
    attributes = {"table": table, "worker": worker, "other_workers": other_workers, "_by_row": {}, "_synced": -1}
    return type("WorkerPool", (SharedPool,), attributes)
