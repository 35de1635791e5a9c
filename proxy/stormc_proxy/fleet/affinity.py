"""Which prefill instances have part of a prompt, as far as this proxy knows: from what it sent where.

Engines are not asked. What they report of their cache with each answer is counted beside the estimate, and an instance
that has nothing of what it should have is believed.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator
from itertools import islice

from stormc_proxy.fleet.pool import Instance
from stormc_proxy.fleet.prefill_choice import Offer
from stormc_proxy.fleet.prefix_index import PrefixIndex
from stormc_proxy.fleet.prompt_keys import Prompt

SESSIONS_PER_KEY = 8
"""One conversation named by a header is remembered for so many prefix keys."""

LOST_TOKENS = 1024
"""An instance that twice in a row reports no cached token where it should have so many has lost its cache."""

MOST_OFFERS = 64
"""Instances that take part in a choice beside the least loaded one, so that a large fleet costs no more."""

GONE = ("isolated", "readmitted", "removed")
"""Events after which an instance's cache is taken for empty."""


class Affinity:
    """The memory of one prefill pool, and how well it did."""

    def __init__(self, limit: int) -> None:
        """`limit` prefix keys are remembered."""
        self.index: PrefixIndex[Instance] = PrefixIndex(limit)
        self._sessions: OrderedDict[int, tuple[Instance, int]] = OrderedDict()
        self._doubted: set[Instance] = set()
        self.prompt_tokens = self.estimated_tokens = self.reported_tokens = 0

    def offers(self, prompt: Prompt, work: Callable[[int], int]) -> Iterator[Offer[Instance]]:
        """Instances that have part of a prompt, those with the most first; `work` is that of so many bytes."""
        size = prompt.size
        holder, promised = self._sessions.get(prompt.session, (None, 0)) if prompt.session else (None, 0)
        promised = min(promised, size)
        depth_before = matched = left = 0
        for instance, depth in islice(self.index.matches(prompt.keys), MOST_OFFERS):
            if depth != depth_before:
                depth_before, matched = depth, prompt.matched(depth)
                left = work(size - matched)
                if holder is not None and promised > matched:
                    yield holder, work(size - promised), promised
                    holder = None
            yield instance, left, matched
        if holder is not None:
            yield holder, work(size - promised), promised

    def chosen(self, prompt: Prompt, instance: Instance) -> None:
        """A prompt goes to an instance, which will have it in its cache."""
        self.index.remember(prompt.keys, instance)
        if prompt.session:
            self._sessions[prompt.session] = (instance, prompt.size)
            self._sessions.move_to_end(prompt.session)
            if len(self._sessions) * SESSIONS_PER_KEY > self.index.limit:
                self._sessions.popitem(last=False)

    def answered(self, prompt: Prompt, instance: Instance, expected: int, tokens: int, cached: int | None) -> None:
        """Prefill had `tokens` in the prompt, `cached` of them in its cache; None when the engine does not tell.

        `expected` is the match in bytes that the choice was made with.
        """
        if cached is None:
            return
        estimated = tokens * expected // prompt.size
        self.prompt_tokens += tokens
        self.estimated_tokens += estimated
        self.reported_tokens += cached
        if cached:
            self._doubted.discard(instance)
        elif estimated >= LOST_TOKENS and instance not in self._doubted:
            self._doubted.add(instance)  # once may be two prompts at the same time
        elif estimated >= LOST_TOKENS:
            self.forget(instance)
            self.chosen(prompt, instance)

    def heard(self, event: str, instance: Instance) -> None:
        """What happened to an instance, in the pool's words."""
        if event in GONE:
            self.forget(instance)

    def forget(self, instance: Instance) -> None:
        """An instance's cache is empty."""
        self.index.forget(instance)
        self._doubted.discard(instance)
        for session in [key for key, (holder, _) in self._sessions.items() if holder is instance]:
            del self._sessions[session]

    def clear(self) -> None:
        """All caches are empty."""
        self.index.clear()
        self._sessions.clear()
