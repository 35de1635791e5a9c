"""Heads of answers to clients, and whole answers of the proxy's own."""

from __future__ import annotations

import json
from collections.abc import Iterable
from functools import lru_cache
from http import HTTPStatus
from typing import NamedTuple

from stormc_proxy.http.request import Field

_REASONS = {status.value: status.phrase.encode() for status in HTTPStatus} | {413: b"Content Too Large"}


class Reply(NamedTuple):
    """A whole answer that the proxy makes itself."""

    status: int
    body: bytes
    content_type: bytes = b"application/json"
    fields: tuple[Field, ...] = ()


def json_reply(status: int, value: object, fields: tuple[Field, ...] = ()) -> Reply:
    """An answer with a JSON value as its body."""
    return Reply(status, json.dumps(value, separators=(",", ":")).encode(), fields=fields)


def text_reply(status: int, text: str) -> Reply:
    """An answer in plain text, for people and probes."""
    return Reply(status, text.encode(), b"text/plain; charset=utf-8")


@lru_cache(maxsize=256)
def head_of(status: int, content_type: bytes, fields: tuple[Field, ...], modern: bool, keep: bool) -> bytes:
    """The head of a whole answer, up to its length; there are few different ones."""
    closing = () if keep else ((b"Connection", b"close"),)
    return head_bytes(status, ((b"Content-Type", content_type), *fields, *closing), modern)


def head_bytes(status: int, fields: Iterable[Field], modern: bool, reason: bytes = b"") -> bytes:
    """Status line and header fields, without framing and without the blank line."""
    version = b"1.1" if modern else b"1.0"
    lines = [b"HTTP/%b %d %b\r\n" % (version, status, reason or _REASONS.get(status, b"Status"))]
    lines += [b"%b: %b\r\n" % field for field in fields]
    return b"".join(lines)
