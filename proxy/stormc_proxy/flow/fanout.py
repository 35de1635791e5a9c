"""Requests for several answers, taken apart into requests for one and put together again.

A batch of prompts or n > 1 makes decode call back once per child, under ids that only the SFA connector of vllm-ascend
puts in order; one request per prompt and answer is safe with every connector. Children are made when their turn comes
and share the client's text.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from stormc_proxy.flow.api import Api, flag
from stormc_proxy.flow.body import Body, BodyError, dumped
from stormc_proxy.flow.exchange import Answer
from stormc_proxy.flow.generation import Generation
from stormc_proxy.flow.large_json import Unread
from stormc_proxy.flow.output import Output, Source
from stormc_proxy.flow.refusal import Broken, Refusal
from stormc_proxy.flow.router import Router
from stormc_proxy.http.answer_head import Head
from stormc_proxy.http.events import DONE, chunk, event, is_done, parsed, split, unframed
from stormc_proxy.outcomes import Outcome
from stormc_proxy.telemetry.journal import Record

CONCURRENT = 64
"""Children of one request that run at a time."""
MAX_CHILDREN = 16384
MAX_BYTES = 2 * 1024**3
"""What the children of one request may send to engines together."""


class Child(NamedTuple):
    """One prompt and one of its answers."""

    body: Body
    place: int
    """The choice's place in the whole answer."""
    prompt: int
    """The prompt's place in the batch."""


class Plan(NamedTuple):
    """How a request is taken apart."""

    body: Body
    member: str
    """What holds the prompts of a batch; empty when there is one prompt."""
    prompts: Sequence[str | Unread]
    answers: int
    """Answers for each prompt."""

    @property
    def size(self) -> int:
        """How many requests for one answer it makes."""
        return len(self.prompts) * self.answers

    def prompt_of(self, index: int) -> int:
        """The number of a child's prompt."""
        return index // self.answers

    def children(self) -> Iterator[Child]:
        """One after the other, made when it is asked for."""
        seed = self.body.values.get("seed")
        for number, prompt in enumerate(self.prompts):
            for k in range(self.answers):
                changes: dict[str, str | None] = {"n": None}
                if self.member:
                    changes[self.member] = prompt if isinstance(prompt, str) else prompt.text.decode()
                if isinstance(seed, int) and k:
                    changes["seed"] = str(seed + k)  # as vllm/v1/engine/parallel_sampling.py does
                yield Child(self.body.varied(changes), number * self.answers + k, number)


def plan_of(body: Body, api: Api) -> Plan | None:
    """How the request is taken apart; None if it is for one answer. Raises Refusal for what no engine can do."""
    values = body.values
    if values.get("n") is None and (api.chat or (type(values.get("prompt")) is str and "prompt_embeds" not in values)):
        return None
    try:
        member, prompts = _prompts_of(body, api)
        answers = answers_per_prompt(body)
    except BodyError as error:
        raise Refusal.own(Outcome.BAD_REQUEST, str(error)) from None
    plan = Plan(body, member, prompts, answers)
    if plan.size == 1:
        return None
    if answers > 1 and flag(body.values.get("use_beam_search")):
        raise Refusal.own(Outcome.BAD_REQUEST, "several beams cannot be split between prefill and decode")
    if plan.size > MAX_CHILDREN or answers * body.length > MAX_BYTES:
        message = f"{len(prompts)} prompts with {answers} answers each are more than {MAX_CHILDREN}, or too long"
        raise Refusal.own(Outcome.BAD_REQUEST, message)
    return plan


def _prompts_of(body: Body, api: Api) -> tuple[str, Sequence[str | Unread]]:
    """The prompts of a batch and the member that holds them. A list of numbers is one prompt. Raises BodyError."""
    if api.chat:
        return "", ("",)
    embeds = body.values.get("prompt_embeds")
    if embeds is not None and body.values.get("prompt") is not None:
        raise BodyError("prompt and prompt_embeds are two prompts; send one of them")
    member = "prompt" if embeds is None else "prompt_embeds"
    if not body.is_list(member) or _is_tokens(body.values[member]):
        return "", ("",)
    return member, body.elements(member)


def _is_tokens(prompt: object) -> bool:
    """Whether a list is one prompt in token ids."""
    if isinstance(prompt, Unread):
        return prompt.first() not in (b'"', b"[", b"{")
    return isinstance(prompt, list) and isinstance(prompt[0], int)


def answers_per_prompt(body: Body) -> int:
    """The request's n as vLLM's model reads it: text and floats that are whole numbers too.

    1 for what is no such number, which the engine then judges.
    """
    n = body.values.get("n")
    if isinstance(n, str) and n.strip().isascii() and n.strip().isdigit() and len(n) < 20:
        n = int(n)
    if isinstance(n, float) and n.is_integer():
        n = int(n)
    return n if isinstance(n, int) and n > 0 else 1


class Branch:
    """Where the stream of one child goes: into the whole stream, under its index."""

    __slots__ = ("_index", "_merge", "source", "usage")

    def __init__(self, merge: Merge, index: int) -> None:
        """`index` is the choice's place in the whole answer."""
        self._merge, self._index = merge, index
        self.source: Source | None = None
        self.usage: Mapping[str, Any] | None = None

    def begin(self, head: Head, source: Source) -> None:
        """Before the first piece; the first branch opens the whole stream."""
        self.source = source
        self._merge.begin(head, source)

    def write(self, framed: bytes) -> None:
        """Events of the child, renumbered; its end is not that of the whole, its usage a part of it."""
        events = []
        for raw in split(unframed(framed)):
            value = parsed(raw)
            if value is None:
                if not is_done(raw):
                    events.append(raw)
            elif not value.get("choices") and isinstance(value.get("usage"), dict):
                self.usage = value["usage"]
                self._merge.last = value
            else:
                events.append(event(self._merge.renumbered(value, self._index)))
        if events:
            self._merge.relay.write(chunk(b"".join(events)))


class Merge:
    """One answer out of the answers of children. A client that reads slowly holds all of them up, also the next."""

    def __init__(self, router: Router, api: Api, plan: Plan, headers: bytes, record: Record, relay: Output) -> None:
        """`relay` receives the stream, if it is one."""
        self.relay, self.last = relay, dict[str, Any]()
        self._router, self._api, self._plan, self._headers, self._record = router, api, plan, headers, record
        self._shared: dict[str, Any] = {}
        self._begun = False
        self._sources: set[Source] = set()
        self._keeps_up = asyncio.Event()
        self._keeps_up.set()

    def renumbered(self, value: Mapping[str, Any], index: int) -> dict[str, Any]:
        """A chunk of a child as one of the whole: its choice's index, everybody's id."""
        if not self._shared:
            self._shared = {key: value[key] for key in ("id", "created") if key in value}
        choices = [{**choice, "index": index} for choice in value.get("choices") or ()]
        return {**value, **self._shared, "choices": choices}

    async def answer(self, stream: bool, width: int) -> Answer | None:
        """The whole answer; None if it was streamed. `width` children run at a time.

        A child that fails ends the others: an answer with a hole is no answer. Raises Refusal while nothing was sent,
        Broken afterwards.
        """
        count = self._plan.size
        answers: list[Answer | None] = [None] * count
        usages: list[Mapping[str, Any] | None] = [None] * count
        children = self._plan.children()
        tasks = [asyncio.ensure_future(self._run(children, stream, answers, usages)) for _ in range(min(width, count))]
        try:
            await asyncio.gather(*tasks)
        except Refusal as refusal:
            if self._begun:
                raise Broken(refusal.text, refusal.outcome) from None
            raise
        finally:
            for task in tasks:
                task.cancel()
        if stream:
            self._end_stream(usages)
            return None
        return self._join_answers(answers)

    async def _run(
        self, children: Iterator[Child], stream: bool, answers: list[Answer | None],
        usages: list[Mapping[str, Any] | None],
    ) -> None:  # fmt: skip
        """Ask for one child after the other, until none is left."""
        for child in children:
            await self._keeps_up.wait()
            branch = Branch(self, child.place) if stream else None
            generation = Generation(self._router, self._api, child.body, self._headers, self._record, branch)
            answers[child.place] = await generation.answer()
            if branch is not None:
                usages[child.place] = branch.usage
                if branch.source is not None:
                    self._sources.discard(branch.source)

    def begin(self, head: Head, source: Source) -> None:
        """The first branch opens the whole stream."""
        self._begun = True
        self._sources.add(source)
        if not self._keeps_up.is_set():
            source.pause()
        self.relay.begin(head, self)

    def pause(self) -> None:
        """The client does not keep up: all children's engines wait."""
        self._keeps_up.clear()
        for source in self._sources:
            source.pause()

    def resume(self) -> None:
        """The client keeps up again."""
        self._keeps_up.set()
        for source in self._sources:
            source.resume()

    def _end_stream(self, usages: Sequence[Mapping[str, Any] | None]) -> None:
        if any(usages):
            usage = summed(self._plan, usages)
            self.relay.write(chunk(event({**self.last, **self._shared, "choices": [], "usage": usage})))
        self.relay.write(chunk(DONE))

    def _join_answers(self, answers: Sequence[Answer | None]) -> Answer:
        values = []
        for answer in answers:
            assert answer is not None
            try:
                value = json.loads(answer.body)
            except ValueError:
                value = None
            if not isinstance(value, dict):
                raise Refusal(Outcome.MALFORMED, 502, "decode instance: malformed answer")
            values.append(value)
        choices = [
            {**choice, "index": index} for index, value in enumerate(values)
            for choice in value.get("choices") or ()
        ]  # fmt: skip
        whole = {**values[0], "choices": choices}
        usages = [value.get("usage") for value in values]
        if any(isinstance(usage, dict) for usage in usages):
            whole["usage"] = summed(self._plan, usages)
        assert answers[0] is not None
        return Answer(answers[0].head, dumped(whole).encode())


def summed(plan: Plan, usages: Sequence[Mapping[str, Any] | None]) -> dict[str, Any]:
    """One usage: each prompt once, as vLLM counts it, and every answer; details likewise."""
    whole: dict[str, Any] = {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}
    prompts_counted = set[int]()
    for index, usage in enumerate(usages):
        if not isinstance(usage, Mapping):
            continue
        if plan.prompt_of(index) not in prompts_counted:
            prompts_counted.add(plan.prompt_of(index))
            whole["prompt_tokens"] += usage.get("prompt_tokens") or 0
            _add_details(whole, "prompt_tokens_details", usage)
        whole["completion_tokens"] += usage.get("completion_tokens") or 0
        _add_details(whole, "completion_tokens_details", usage)
    whole["total_tokens"] = whole["prompt_tokens"] + whole["completion_tokens"]
    return whole


def _add_details(whole: dict[str, Any], key: str, usage: Mapping[str, Any]) -> None:
    details = usage.get(key)
    if isinstance(details, Mapping):
        sums = whole.setdefault(key, {})
        for name, count in details.items():
            so_far = sums.get(name)
            sums[name] = (so_far or 0) + count if isinstance(count, int) else so_far
