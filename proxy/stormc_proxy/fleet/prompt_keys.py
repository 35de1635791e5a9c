"""Keys of a prompt's beginnings: two prompts share a key exactly as far as they share their text.

An engine keeps the KV cache of what it has computed in blocks, and a block is only of use together with all blocks
before it (vLLM, docs/design/prefix_caching.md). So each key here stands for everything up to its end: it is the hash of
the key before it and of the text since then. Text is never kept, and a collision can only send a prompt to the wrong
instance.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable, Container, Iterable, Mapping
from itertools import accumulate, repeat
from typing import NamedTuple, Protocol

STEP = 2048
"""Characters between two keys, about 512 tokens."""

SHORT = (512, 1024, 2048)
"""Where the first keys end: a short prompt has a cache too, from the engines' first block of 128 tokens on."""

MOST_KEYS = 2048
"""Keys of one prompt; what lies behind (4 MiB, a million tokens) takes no part in the choice."""

TEXT = ("documents", "tools", "system", "instructions", "messages", "prompt", "prompt_embeds", "input")
"""Members of a request that become the prompt, in the order in which chat templates use them."""

IDENTITY = ("model", "cache_salt", "chat_template", "chat_template_kwargs", "mm_processor_kwargs")
"""Members that decide whether a cached block may be used at all; a LoRA adapter is named as the model."""

_KEYED_MEMBERS = frozenset((*TEXT, *IDENTITY))
_NOTHING = repeat("")

SESSION = re.compile(rb"(?:^|\n)(?:x-session-id|x-aibrix-session-key):[ \t]*([^\r\n]+)", re.IGNORECASE)
"""Headers by which clients name a conversation; the second is AIBrix's."""

Chain = Callable[[int, str], int]
"""Makes the next key: of the key of all text before, and the text since then."""


class Members(Protocol):
    """A request's body, as far as keys are made of it."""

    length: int

    def members(self, keys: Container[str]) -> Mapping[str, str]:
        """The JSON text of some top-level members as the client wrote it."""


class Prompt(NamedTuple):
    """What the choice of an instance needs to know of a request."""

    keys: list[int]
    session: int
    """Key of the conversation that the client names; 0 when it names none."""
    characters: int
    size: int
    """Bytes of the body."""

    def matched(self, depth: int) -> int:
        """Bytes that `depth` keys stand for: characters of several bytes count in the body's proportion."""
        return end_of(depth) * self.size // self.characters if depth else 0


def chained_here(before: int, text: str) -> int:
    """The next key within this process and those forked from it; Python's seeded hash, 2 KiB in half a microsecond."""
    return hash((before, text))


def chained_everywhere(before: int, text: str) -> int:
    """The next key as every routing pod computes it: a CRC, for a third more time."""
    return zlib.crc32(text.encode("utf-8", "surrogatepass"), before)


def prompt_of(body: Members, session: str = "", chain: Chain = chained_here) -> Prompt:
    """The keys of a request; `session` is what a header says about the conversation it belongs to."""
    members = body.members(_KEYED_MEMBERS)
    identity = chain(0, "\0".join(map(members.get, IDENTITY, _NOTHING)))
    text = "".join(map(members.get, TEXT, _NOTHING))
    keys = chain_of(identity, pieces(text), chain)
    return Prompt(keys, chain(identity, session) if session else 0, len(text), body.length)


def session_of(headers: bytes) -> str:
    """The conversation that a request's header lines name; empty when they name none."""
    if headers.lower().find(b"-session-") < 0:  # as in both names, and a fifth of the time
        return ""
    session = SESSION.search(headers)
    return session.group(1).decode("latin-1") if session else ""


def chain_of(identity: int, texts: Iterable[str], chain: Chain = chained_here) -> list[int]:
    """A key for each text, of it and all before it."""
    return list(accumulate(texts, chain, initial=identity))[1:]


def pieces(text: str) -> list[str]:
    """The text between two keys, from the beginning; the rest that is no whole piece is left out."""
    return list(map(text.__getitem__, _PIECES[: depth_of(len(text))]))


def depth_of(characters: int) -> int:
    """How many keys a text has."""
    if characters >= STEP:
        return min(characters // STEP + len(SHORT) - 1, MOST_KEYS)
    return sum(1 for end in SHORT if end <= characters)


def end_of(depth: int) -> int:
    """Characters that the first `depth` keys stand for."""
    return STEP * (depth - len(SHORT) + 1) if depth >= len(SHORT) else SHORT[depth - 1] if depth else 0


_ENDS = [end_of(depth) for depth in range(MOST_KEYS + 1)]
_PIECES = list(map(slice, _ENDS, _ENDS[1:]))
"""Slices made once: hashing is most of what a prompt costs, and making them would be a tenth of it."""
