"""Which prefill instances have part of a prompt, as far as this proxy knows: from what it sent where.

Engines are not asked. What they report of their cache with each answer is counted beside the estimate, and an instance
that has nothing of what it should have is believed.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import islice

from stormc_proxy.fleet.instance import Instance, prefill_load
from stormc_proxy.fleet.lease import Lease
from stormc_proxy.fleet.pool import Pool
from stormc_proxy.fleet.prefill_choice import Offer
from stormc_proxy.fleet.prefix_index import PrefixIndex
from stormc_proxy.fleet.prompt_keys import Chain, Members, Prompt, chained_here, prompt_of, session_of
from stormc_proxy.settings import Address

SESSIONS_PER_KEY = 8
"""One conversation named by a header is remembered for so many prefix keys."""

LOST_TOKENS = 1024
"""An instance that twice in a row reports no cached token where it should have so many has lost its cache."""

MOST_OFFERS = 64
"""Instances that take part in a choice beside the least loaded one, so that a large fleet costs no more."""

BYTES_PER_TOKEN = 4
"""Where the engine does not say how many tokens a prompt has; vllm-ascend's examples count so too."""

GONE = ("isolated", "readmitted", "removed")
"""Events after which an instance's cache is taken for empty."""


CachedTokens = tuple[int, int | None]
"""How much of a prompt the prefill instance had: the estimate, and what it reported.

None when the engine does not tell (vLLM: --enable-prompt-tokens-details).
"""


class Affinity:
    """The memory of one prefill pool, and how well it did."""

    def __init__(self, limit: int, weight: float) -> None:
        """`limit` prefix keys are remembered; `weight` as in `prefill_choice`, 0 is load alone."""
        self.index: PrefixIndex[Instance] = PrefixIndex(limit)
        self.weight = weight
        self.chain: Chain = chained_here
        self.outbox: list[tuple[Instance, Prompt]] | None = None
        """Choices that are still to be sent to other pods; None where there are none."""
        self.peers = 0
        """How many other routing pods have been heard lately."""
        self._sessions: OrderedDict[int, tuple[Instance, int]] = OrderedDict()
        self._doubted: set[Instance] = set()
        self.prompt_tokens = self.estimated_tokens = self.reported_tokens = 0

    def prompt(self, body: Members, headers: bytes) -> Prompt:
        """What the choice needs to know of a request; `headers` are the client's, as lines."""
        return prompt_of(body, session_of(headers), self.chain) if self.weight else Prompt([], 0, 1, body.length)

    def pick(self, pool: Pool, prompt: Prompt, mode: str, avoid: Iterable[Address] = ()) -> Lease | None:
        """A lease on the instance that the rule chooses, which will have the prompt in its cache."""
        if pool.shares_choices:
            self.listen(pool)
        work = partial(prefill_load, mode=mode)
        lease = pool.pick(work(prompt.size), avoid, partial(self.offers, prompt, work), self.weight)
        if lease is not None:
            self.note_choice(prompt, lease.instance)
            if (pool.shares_choices or self.outbox is not None) and (prompt.keys or prompt.session):
                self._share(pool, prompt, lease.instance)
        return lease

    def _share(self, pool: Pool, prompt: Prompt, instance: Instance) -> None:
        pool.share_choice(instance, prompt)
        if self.outbox is not None:
            self.outbox.append((instance, prompt))

    def listen(self, pool: Pool) -> None:
        """Take over where other workers have sent prompts since the last call."""
        for instance, prompt in pool.choices_of_others():
            if prompt.keys or prompt.session:
                self.note_choice(prompt, instance)
            else:
                self.forget(instance)

    def offers(
        self, prompt: Prompt, work: Callable[[int], int], least: Instance | None = None
    ) -> Iterator[Offer[Instance]]:
        """Instances that have part of a prompt, those with the most first; `work` is that of so many bytes.

        Of those that have equally much, `least` comes first, which has the least to do.
        """
        size = prompt.size
        holder, promised = self._sessions.get(prompt.session, (None, 0)) if prompt.session else (None, 0)
        promised = min(promised, size)
        depth_before = matched = work_left = 0
        for instance, depth in islice(self.index.matches(prompt.keys, least), MOST_OFFERS):
            if depth != depth_before:
                depth_before, matched = depth, prompt.matched(depth)
                work_left = work(size - matched)
                if holder is not None and promised > matched:
                    yield holder, work(size - promised), promised
                    holder = None
            yield instance, work_left, matched
        if holder is not None:
            yield holder, work(size - promised), promised

    def note_choice(self, prompt: Prompt, instance: Instance) -> None:
        """A prompt goes to an instance, which will have it in its cache."""
        self.index.remember(prompt.keys, instance)
        if prompt.session:
            self._sessions[prompt.session] = (instance, prompt.size)
            self._sessions.move_to_end(prompt.session)
            if len(self._sessions) * SESSIONS_PER_KEY > self.index.limit:
                self._sessions.popitem(last=False)

    def compared(self, prompt: Prompt, lease: Lease, tokens: int | None, cached: int | None) -> CachedTokens:
        """What the choice was made with, beside what prefill reports: the prompt's tokens, and those it had cached."""
        estimated = (tokens or prompt.size // BYTES_PER_TOKEN) * lease.matched // max(prompt.size, 1)
        if tokens is not None and cached is not None:
            self.prompt_tokens += tokens
            self.estimated_tokens += estimated
            self.reported_tokens += cached
            self._believe(prompt, lease.instance, estimated, cached)
        return estimated, cached

    def _believe(self, prompt: Prompt, instance: Instance, estimated: int, cached: int) -> None:
        if cached:
            self._doubted.discard(instance)
        elif estimated >= LOST_TOKENS and instance not in self._doubted:
            self._doubted.add(instance)  # once may be two prompts at the same time
        elif estimated >= LOST_TOKENS:
            self.forget(instance)
            self.note_choice(prompt, instance)

    def instance_changed(self, event: str, instance: Instance) -> None:
        """What happened to an instance, in the pool's words."""
        if event in GONE:
            self.forget(instance)

    def forget(self, instance: Instance) -> None:
        """An instance has lost its cache: nothing is expected there any more."""
        self.index.forget(instance)
        self._doubted.discard(instance)
        for session in [key for key, (holder, _) in self._sessions.items() if holder is instance]:
            del self._sessions[session]

    def status(self) -> dict[str, float]:
        """For the status page: the memory, and estimate and truth of the answers so far."""
        return {
            "weight": self.weight, "keys": len(self.index), "limit": self.index.limit, "bytes": self.index.size_bytes,
            "promptTokens": self.prompt_tokens, "estimatedTokens": self.estimated_tokens,
            "reportedTokens": self.reported_tokens, "peers": self.peers,
        }  # fmt: skip

    def clear(self, pool: Pool) -> None:
        """All instances have lost their caches; other workers and pods are told."""
        self.index.clear()
        self._sessions.clear()
        for instance in pool:
            self._share(pool, Prompt([], 0, 0, 0), instance)
