"""The APIs that go through prefill and decode, and where they differ."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

from stormc_proxy.flow.body import Body, BodyError, dumped
from stormc_proxy.http.events import event


class Api(NamedTuple):
    """One path of the OpenAI or the Anthropic API."""

    path: str
    prompt: str
    """The member that holds the prompt; a body without it is refused."""
    limits: tuple[str, ...]
    """Members that bound the answer; prefill gets 1 for those the client gave, and for the first in any case."""
    chat: bool = False
    children: bool = False
    """`n` and batches are taken apart."""
    resumable: bool = False
    """An answer that breaks off can go on elsewhere."""
    dialect: str = "openai"
    """How errors look: openai, anthropic or responses."""
    floor: bool = False
    """`min_tokens` is known: prefill must not end at an end-of-text token."""
    names_request: bool = False
    """The engine takes its id from the body, not from X-Request-Id."""


ANSWER_TOKENS = re.compile(rb'"(?:completion|output)_tokens":\s*(\d+)')
"""How many tokens an answer has, where its usage says so in any of the APIs."""
_LIMITS = ("max_tokens", "max_completion_tokens")
COMPLETIONS = Api("/v1/completions", "prompt", _LIMITS, False, True, True, floor=True)
CHAT = Api("/v1/chat/completions", "messages", _LIMITS, True, True, True, floor=True)
MESSAGES = Api("/v1/messages", "messages", ("max_tokens",), dialect="anthropic")
RESPONSES = Api("/v1/responses", "input", ("max_output_tokens",), dialect="responses", names_request=True)
GENERATING = {api.path: api for api in (COMPLETIONS, CHAT, MESSAGES, RESPONSES)}


def check(api: Api, body: Body) -> None:
    """Raises BodyError for what no engine could answer."""
    if api.prompt == "messages" and not body.is_list("messages"):
        raise BodyError("messages is not a list with at least one message")
    if body.values.get(api.prompt) is None and (api is not COMPLETIONS or body.values.get("prompt_embeds") is None):
        raise BodyError(f"{api.prompt} is missing")


def prefill_changes(api: Api, body: Body, key: str, parameters: str) -> dict[str, str | None]:
    """What the body for prefill has other than the client's: one token, no stream."""
    changes: dict[str, str | None] = {"kv_transfer_params": parameters, "stream": "false", "stream_options": None}
    changes[api.limits[0]] = "1"
    if api.floor:
        changes["min_tokens"] = "1"
    for name in api.limits[1:]:
        if name in body.values:
            changes[name] = "1"
    return changes | request_id_changes(api, key) if api.names_request else changes


def decode_changes(api: Api, key: str, parameters: str) -> dict[str, str | None]:
    """What the body for decode has other than the client's; `parameters` are the KV connector's, or empty."""
    changes: dict[str, str | None] = {"kv_transfer_params": parameters or None}
    return changes | request_id_changes(api, key) if api.names_request else changes


def request_id_changes(api: Api, key: str) -> dict[str, str | None]:
    """The request's id as a member of the body, where the API has it there: the same for prefill and decode."""
    return {"request_id": dumped(f"resp_{key}")} if api.names_request else {}


def flag(value: object) -> bool:
    """A boolean as vLLM's models read one: text and numbers are taken for what they say."""
    if isinstance(value, str):
        return value.lower() in ("true", "1", "yes", "on", "t", "y")
    return bool(value)


def error_value(dialect: str, status: int, message: str, kind: str) -> Mapping[str, object]:
    """The error object in the form of an API: `dialect` is openai, anthropic or responses."""
    if dialect == "anthropic":
        known = {400: "invalid_request_error", 401: "authentication_error", 404: "not_found_error",
                 413: "request_too_large", 429: "rate_limit_error", 503: "overloaded_error"}  # fmt: skip
        return {"type": "error", "error": {"type": known.get(status, "api_error"), "message": message}}
    return {"error": {"message": message, "type": kind, "param": None, "code": status}}


def error_event(dialect: str, status: int, message: str, kind: str) -> bytes:
    """An error as the last event of a stream, in the form of an API."""
    if dialect == "anthropic":
        return b"event: error\n" + event(error_value(dialect, status, message, kind))
    if dialect == "responses":
        value = {"type": "error", "code": kind, "message": message, "param": None, "sequence_number": 0}
        return b"event: error\n" + event(value)
    return event(error_value(dialect, status, message, kind))
