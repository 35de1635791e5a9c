"""Requests for several answers, taken apart into requests for one and put together again.

A batch of prompts or n > 1 makes decode call back once per child, under ids that only the SFA connector of vllm-ascend
puts in order; one request per prompt and answer is safe with every connector.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from typing import Any

from stormc_proxy.edge.relay import Relay
from stormc_proxy.flow.body import Body, dumped
from stormc_proxy.flow.route import Answer, Broken, Generation, Refusal, Router
from stormc_proxy.flow.stream import Source
from stormc_proxy.http.events import DONE, chunk, event, is_done, parsed, split, unframed
from stormc_proxy.http.upstream import Head
from stormc_proxy.telemetry.journal import Record

CONCURRENT = 64
"""Children of one request that run at a time."""
MAX_CHILDREN = 16384


class Child:
    """One prompt and one of its answers."""

    __slots__ = ("body", "index", "prompt")

    def __init__(self, body: Body, index: int, prompt: int) -> None:
        """`index` is the choice's place in the whole answer, `prompt` that of its prompt in the batch."""
        self.body, self.index, self.prompt = body, index, prompt


def prompts_of(body: Body, chat: bool) -> list[Any]:
    """The prompts of a batch; one for everything else. A list of numbers is one prompt."""
    prompt = None if chat else body.values.get("prompt")
    if isinstance(prompt, list) and prompt and not isinstance(prompt[0], int):
        return prompt
    return [prompt]


def answers_per_prompt(body: Body) -> int:
    """The request's n; 1 for what is no such number, which the engine then judges."""
    n = body.values.get("n")
    return n if type(n) is int and n > 0 else 1


def children_of(body: Body, chat: bool) -> list[Child]:
    """The requests for one answer each; empty if the request is one already. Raises Refusal when there are too many."""
    prompts, n = prompts_of(body, chat), answers_per_prompt(body)
    if len(prompts) * n == 1:
        return []
    if len(prompts) * n > MAX_CHILDREN:
        message = f"{len(prompts)} prompts with {n} answers each are more than {MAX_CHILDREN}"
        raise Refusal.error(400, message, "invalid_request_error")
    seed = body.values.get("seed")
    children = []
    for number, prompt in enumerate(prompts):
        for k in range(n):
            changes: dict[str, str | None] = {"n": None}
            if not chat:
                changes["prompt"] = dumped(prompt)
            if isinstance(seed, int) and k:
                changes["seed"] = str(seed + k)  # as vllm/v1/engine/parallel_sampling.py does
            children.append(Child(body.replaced(changes), number * n + k, number))
    return children


class Branch:
    """Where the stream of one child goes: into the whole stream, under its index."""

    __slots__ = ("_index", "_merge", "usage")

    def __init__(self, merge: Merge, index: int) -> None:
        """`index` is the choice's place in the whole answer."""
        self._merge, self._index = merge, index
        self.usage: Mapping[str, Any] | None = None

    def begin(self, head: Head, source: Source) -> None:
        """Before the first piece; the first branch opens the whole stream."""
        self._merge.relay.begin(head, source)

    def write(self, framed: bytes) -> None:
        """Events of the child, renumbered; its end is not that of the whole, its usage a part of it."""
        kept = []
        for raw in split(unframed(framed)):
            value = parsed(raw)
            if value is None:
                if not is_done(raw):
                    kept.append(raw)
            elif not value.get("choices") and isinstance(value.get("usage"), dict):
                self.usage = value["usage"]
                self._merge.last = value
            else:
                kept.append(event(self._merge.renumbered(value, self._index)))
        if kept:
            self._merge.relay.write(chunk(b"".join(kept)))


class Merge:
    """One answer out of the answers of children."""

    def __init__(self, router: Router, path: str, body: Body, headers: bytes, record: Record, relay: Relay) -> None:
        """`relay` receives the stream, if it is one."""
        self.relay, self.last = relay, dict[str, Any]()
        self._router, self._path, self._body, self._headers, self._record = router, path, body, headers, record
        self._shared: dict[str, Any] = {}
        self._free = asyncio.Semaphore(CONCURRENT)

    def renumbered(self, value: Mapping[str, Any], index: int) -> dict[str, Any]:
        """A chunk of a child as one of the whole: its choice's index, everybody's id."""
        if not self._shared:
            self._shared = {key: value[key] for key in ("id", "created") if key in value}
        choices = [{**choice, "index": index} for choice in value.get("choices") or ()]
        return {**value, **self._shared, "choices": choices}

    async def answer(self, children: Sequence[Child], stream: bool) -> Answer | None:
        """The whole answer; None if it was streamed. Raises Refusal while nothing was sent, Broken afterwards.

        A child that fails ends the others: an answer with a hole is no answer.
        """
        branches = [Branch(self, child.index) for child in children] if stream else [None] * len(children)
        tasks = [asyncio.ensure_future(self._run(child, out)) for child, out in zip(children, branches, strict=True)]
        try:
            answers = await asyncio.gather(*tasks)
        except Refusal as refusal:
            if self.relay.status:
                raise Broken(refusal.body.decode("utf-8", "replace")[:300]) from None
            raise
        finally:
            for task in tasks:
                task.cancel()
        if stream:
            self._end_stream(children, [branch.usage for branch in branches if branch])
            return None
        return self._joined(children, answers)

    async def _run(self, child: Child, output: Branch | None) -> Answer | None:
        async with self._free:
            generation = Generation(self._router, self._path, child.body, self._headers, self._record, output)
            return await generation.answer()

    def _end_stream(self, children: Sequence[Child], usages: Sequence[Mapping[str, Any] | None]) -> None:
        if any(usages):
            usage = summed(children, usages)
            self.relay.write(chunk(event({**self.last, **self._shared, "choices": [], "usage": usage})))
        self.relay.write(chunk(DONE))

    def _joined(self, children: Sequence[Child], answers: Sequence[Answer | None]) -> Answer:
        values = []
        for answer in answers:
            assert answer is not None
            try:
                value = json.loads(answer.body)
            except ValueError:
                value = None
            if not isinstance(value, dict):
                raise Refusal.error(502, "decode instance: malformed answer", "upstream_error")
            values.append(value)
        choices = [
            {**choice, "index": child.index} for child, value in zip(children, values, strict=True)
            for choice in value.get("choices") or ()
        ]  # fmt: skip
        whole = {**values[0], "choices": choices}
        usages = [value.get("usage") for value in values]
        if any(isinstance(usage, dict) for usage in usages):
            whole["usage"] = summed(children, usages)
        assert answers[0] is not None
        return Answer(answers[0].head, dumped(whole).encode())


def summed(children: Sequence[Child], usages: Sequence[Mapping[str, Any] | None]) -> dict[str, Any]:
    """One usage: each prompt once, as vLLM counts it, and every answer."""
    prompts: dict[int, int] = {}
    completion = cached = 0
    told: set[int] = set()
    details = False
    for child, usage in zip(children, usages, strict=True):
        if not isinstance(usage, Mapping):
            continue
        prompts.setdefault(child.prompt, usage.get("prompt_tokens") or 0)
        completion += usage.get("completion_tokens") or 0
        found = usage.get("prompt_tokens_details")
        if isinstance(found, Mapping):
            details = True
            if child.prompt not in told:
                told.add(child.prompt)
                cached += found.get("cached_tokens") or 0
    prompt = sum(prompts.values())
    whole: dict[str, Any] = {
        "prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion,
    }  # fmt: skip
    if details:
        whole["prompt_tokens_details"] = {"cached_tokens": cached}
    return whole
