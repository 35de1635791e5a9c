"""How an engine of the tests behaves, what it saw, and what engines of one service share."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

OPAQUE: dict[str, Any] = {"nested": [1, 2.5, None, {"ü": "\u2028😀", "lone": "\ud800", "big": 2**70}], "empty": {}}
"""Nothing that a proxy knows; it has to arrive as it was sent."""
FAULTS = (
    "refuse", "reset_before", "close_before", "reset_after", "cut_reset", "cut_close", "black_hole", "trickle",
    "slow_head", "hang", "hang_after_head", "garbage", "pushed_reset", "error_first", "error_later", "error_body",
    "coding", "line_feeds", "banner", "nothing", "nonsense", "cut_cleanly",
    "no_done", "half_body", "other_kind", "says", "unnamed",
)  # fmt: skip
"""Names for `Manner.fault`; a number is an answer of that status."""


@dataclass
class Manner:
    """How an engine behaves."""

    fault: str = ""
    """One of FAULTS, or a status as text."""
    refuses: str = "all"
    """What meets a fault that is a status: all, or wishes: not a request for one token (a farewell)."""
    says: str = ""
    """The whole body of the fault of that name."""
    times: int = -1
    """How many more requests meet the fault; all of them if negative."""
    seconds: float = 0.0
    """Before prefill or decode answer."""
    token_seconds: float = 0.0
    recomputes: int = 0
    """How many more answers are given up; all of them if negative."""
    recompute_after: int = 2
    """Tokens that an answer has when it is given up."""
    per_event: int = 1
    """Tokens per event, as with speculative decoding."""
    writes: str = "events"
    """events: one chunk and write each; coalesced: one write for all; split: chunks that tear events apart."""
    framing: str = "chunked"
    """Of streams: chunked, length, close."""
    usage: str = "asked"
    """asked: as the client wants it; null; none."""
    cached: int | None = 3
    """usage.prompt_tokens_details.cached_tokens of prefill."""
    early_head: bool = True
    """vLLM sends the head of a stream before it waits for anything."""
    callbacks: tuple[str, ...] = ("plain",)
    """What is posted to the metaserver: plain, suffix, sampled, unknown; again for every entry."""
    late_callback: bool = False
    """Post once more when the answer is complete."""
    health: int = 200
    """Status of /health; 0 never answers."""
    tokenize: bool = True
    closes_idle: float = 0.0
    """Close a connection that is idle for so many seconds, without a word before; 0 keeps it."""
    stop_reason: Any = None
    pad: int = 0
    """Bytes that each event is longer."""
    gzipped: bool = False
    """Answers are compressed, although nobody asked for it."""
    old: bool = False
    """Answers are HTTP/1.0: streams end with the connection."""
    interim: bool = False
    """An answer of status 103 comes before each answer."""
    trailers: bool = False
    """Chunks have extensions, and fields follow the last one."""
    comments: float = 0.0
    """Seconds between the comments of a stream that waits (vLLM's --sse-keep-alive-interval); 0 sends none."""


@dataclass
class Seen:
    """A request that an engine received."""

    path: str
    headers: dict[str, str]
    raw: bytes
    body: dict[str, Any]
    began: float = field(default_factory=time.monotonic)
    finished: bool = False
    """Answered to the end."""
    left: float = 0.0
    """When the peer closed the connection before that."""
    sent: bytes = b""
    """The payload of the answer so far."""

    @property
    def farewell(self) -> bool:
        """Sent only so that prefill may free a KV cache that nobody needs."""
        parameters = self.body.get("kv_transfer_params") or {}
        return (
            "remote_request_id" in parameters and self.body.get("max_tokens") == 1 and self.body.get("min_tokens") == 0
        )

    @property
    def key(self) -> str:
        """The id that the proxy gave."""
        return self.headers.get("x-request-id", "")


class Fabric:
    """What engines of one service share: the KV cache on its way, and what should not have happened."""

    def __init__(self) -> None:
        """Empty."""
        self.arrived: dict[str, asyncio.Event] = {}
        self.posted: dict[str, dict[str, Any]] = {}
        self.offered: dict[str, dict[str, Any]] = {}
        self.held: set[str] = set()
        self.given_up: Counter[str] = Counter()
        self.problems: list[str] = []

    def arrival(self, key: str) -> asyncio.Event:
        """Set when the KV cache of a request is at decode."""
        return self.arrived.setdefault(key, asyncio.Event())
