"""Every state that a request's parts and an instance can be in, and every way from one to the next.

Four machines, each a table `state, event → state`. Code takes the next state from its machine alone, so that what is
not drawn here cannot happen unnoticed; docs/proxy.md shows the same tables as drawings.
"""

from __future__ import annotations

from collections.abc import Mapping


class Impossible(AssertionError):
    """A step that is in no table: the proxy has a bug."""


class Machine(dict[tuple[str, str], str]):
    """`machine[state, event]` is the next state; for a step that is in no table it raises Impossible."""

    def __init__(self, name: str, about: str, start: str, steps: Mapping[tuple[str, str], str]) -> None:
        """Its name, what it is the life of, where it begins, and all steps."""
        super().__init__(steps)
        self.name, self.about, self.start = name, about, start

    def __missing__(self, step: tuple[str, str]) -> str:
        """Raises Impossible."""
        state, event = step
        raise Impossible(f"{self.name}: {event} while {state}")


EXCHANGE = Machine("exchange", "one request on one connection to an instance", "idle", {
    ("idle", "send"): "sent",
    ("sent", "head"): "answering",
    ("answering", "end"): "answered",
    ("answered", "keep"): "idle",
    ("idle", "close"): "closed",
    ("sent", "close"): "closed",
    ("answering", "close"): "closed",
    ("answered", "close"): "closed",
    ("closed", "close"): "closed",
})  # fmt: skip

ATTEMPT = Machine("attempt", "a request at one decode instance", "asked", {
    ("asked", "calls back"): "prefilling",
    ("asked", "speaks"): "speaking",
    ("asked", "fails"): "over",
    ("asked", "is left"): "over",
    ("prefilling", "prefilled"): "prefilled",
    ("prefilling", "prefill fails"): "refused",
    ("prefilling", "speaks"): "speaking",
    ("prefilling", "fails"): "over",
    ("prefilling", "is left"): "over",
    ("prefilled", "speaks"): "speaking",
    ("prefilled", "fails"): "over",
    ("prefilled", "is left"): "over",
    ("refused", "speaks"): "refused",
    ("refused", "ends"): "over",
    ("refused", "fails"): "over",
    ("refused", "is left"): "over",
    ("speaking", "prefilled"): "speaking",
    ("speaking", "prefill fails"): "speaking",
    ("speaking", "ends"): "over",
    ("speaking", "fails"): "over",
    ("speaking", "is left"): "over",
    ("over", "prefilled"): "over",
    ("over", "prefill fails"): "over",
})  # fmt: skip

KV_CACHE = Machine("kept KV cache", "what a prefill instance holds for decode (standard mode)", "held", {
    ("held", "decode is asked"): "offered",
    ("held", "nobody needs it"): "farewell",
    ("offered", "decode speaks"): "fetched",
    ("offered", "decode was not reached"): "held",
    ("offered", "decode fails"): "farewell",
    ("offered", "decode refuses"): "farewell",
    ("offered", "client leaves"): "farewell",
    ("farewell", "decode fetches it"): "fetched",
    ("farewell", "no decode answers"): "expires",
})  # fmt: skip

INSTANCE = Machine("instance", "an engine as the proxy sees it", "expected", {
    ("expected", "answers"): "healthy",
    ("expected", "is needed"): "healthy",
    ("expected", "is taken out"): "leaving",
    ("healthy", "fails too often"): "faulty",
    ("healthy", "is taken out"): "leaving",
    ("faulty", "probe succeeds"): "healthy",
    ("faulty", "is taken out"): "leaving",
    ("leaving", "comes back"): "healthy",
    ("leaving", "is done"): "gone",
})  # fmt: skip

MACHINES = (EXCHANGE, ATTEMPT, KV_CACHE, INSTANCE)
