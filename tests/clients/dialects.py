"""What engines answer in each API: a short text, or a call of the first tool that the request offers."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

WORDS = ("It ", "rains ", "in ", "Bern.")
ARGUMENTS = '{"city":"Bern"}'
USAGE = {"prompt_tokens": 9, "completion_tokens": 4, "total_tokens": 13}
CLAUDE_USAGE = {"input_tokens": 9, "output_tokens": 4}


def whole(path: str, body: Mapping[str, Any]) -> dict[str, Any]:
    """A whole answer."""
    tools, model = bool(body.get("tools")), body.get("model")
    if path.endswith("/messages"):
        content = {"type": "tool_use", "id": "toolu_1", "name": "weather", "input": json.loads(ARGUMENTS)}
        return {
            "id": "msg_1", "type": "message", "role": "assistant", "model": model, "stop_sequence": None,
            "content": [content if tools else {"type": "text", "text": "".join(WORDS)}], "usage": CLAUDE_USAGE,
            "stop_reason": "tool_use" if tools else "end_turn",
        }  # fmt: skip
    if path.endswith("/responses"):
        return response("completed", model)
    reason = "tool_calls" if tools else "stop"
    choice: dict[str, Any] = {"index": 0, "finish_reason": reason, "logprobs": None}
    if path.endswith("/chat/completions"):
        calls = [{"id": "call_1", "type": "function", "function": {"name": "weather", "arguments": ARGUMENTS}}]
        said = {"content": None, "tool_calls": calls} if tools else {"content": "".join(WORDS)}
        choice["message"] = {"role": "assistant", **said}
    else:
        choice["text"] = "".join(WORDS)
    return {**about(path, model), "choices": [choice], "usage": USAGE}


def about(path: str, model: object, chunk: str = "") -> dict[str, Any]:
    """What every answer of the OpenAI API begins with."""
    kind = f"chat.completion{chunk}" if path.endswith("/chat/completions") else "text_completion"
    return {"id": "cmpl-1", "object": kind, "created": 1, "model": model}


def response(status: str, model: object) -> dict[str, Any]:
    """An object of the Responses API."""
    text = {"type": "output_text", "text": "".join(WORDS), "annotations": []}
    output = [{"type": "message", "id": "msg_1", "status": status, "role": "assistant", "content": [text]}]
    return {
        "id": "resp_1", "object": "response", "created_at": 1, "status": status, "model": model,
        "output": output if status == "completed" else [], "parallel_tool_calls": True, "tool_choice": "auto",
        "tools": [],
        "usage": {"input_tokens": 9, "output_tokens": 4, "total_tokens": 13,
                  "input_tokens_details": {"cached_tokens": 0}, "output_tokens_details": {"reasoning_tokens": 0}},
    }  # fmt: skip


def events(path: str, body: Mapping[str, Any]) -> list[bytes]:
    """The events of a stream."""
    if path.endswith("/messages"):
        return [b"event: %b\ndata: %b\n\n" % (e["type"].encode(), json.dumps(e).encode()) for e in _messages(body)]
    if path.endswith("/responses"):
        return [b"event: %b\ndata: %b\n\n" % (e["type"].encode(), json.dumps(e).encode()) for e in _responses(body)]
    return [*(b"data: %b\n\n" % json.dumps(e).encode() for e in _chunks(path, body)), b"data: [DONE]\n\n"]


def announcements(path: str) -> int:
    """How many events of a stream come before the engine is asked at all (vllm's responses/serving.py)."""
    return 2 if path.endswith("/responses") else 0


def failure(path: str) -> bytes:
    """The event of an engine that could not go on."""
    if path.endswith("/messages"):
        error = {"type": "error", "error": {"type": "overloaded_error", "message": "no room"}}
        return b"event: error\ndata: %b\n\n" % json.dumps(error).encode()
    if path.endswith("/responses"):
        failed = {**response("failed", "m"), "error": {"code": "server_error", "message": "no room"}}
        value = {"type": "response.failed", "sequence_number": 2, "response": failed}
        return b"event: response.failed\ndata: %b\n\n" % json.dumps(value).encode()
    return b"data: %b\n\n" % json.dumps({"error": {"message": "no room", "type": "x", "code": 503}}).encode()


def _chunks(path: str, body: Mapping[str, Any]) -> list[dict[str, Any]]:
    chat, tools = path.endswith("/chat/completions"), bool(body.get("tools"))
    parts: list[dict[str, Any]] = [{"content": word} for word in WORDS]
    if tools:
        call = {"index": 0, "id": "call_1", "type": "function", "function": {"name": "weather", "arguments": ""}}
        halves = [{"index": 0, "function": {"arguments": half}} for half in (ARGUMENTS[:8], ARGUMENTS[8:])]
        parts = [{"tool_calls": [piece]} for piece in (call, *halves)]
    choices: list[dict[str, Any]] = [
        {"index": 0, "finish_reason": None, **({"delta": part} if chat else {"text": part["content"]})}
        for part in parts
    ]
    if chat:
        choices.insert(0, {"index": 0, "finish_reason": None, "delta": {"role": "assistant", "content": ""}})
    last: dict[str, Any] = {
        "index": 0,
        "finish_reason": "tool_calls" if tools else "stop",
        "delta" if chat else "text": {} if chat else "",
    }
    chunks = [{**about(path, body.get("model"), ".chunk"), "choices": [choice]} for choice in (*choices, last)]
    if (body.get("stream_options") or {}).get("include_usage"):
        chunks.append({**about(path, body.get("model"), ".chunk"), "choices": [], "usage": USAGE})
    return chunks


def _messages(body: Mapping[str, Any]) -> list[dict[str, Any]]:
    tools = bool(body.get("tools"))
    begun = {**whole("/v1/messages", body), "content": [], "stop_reason": None}
    block = (
        {"type": "tool_use", "id": "toolu_1", "name": "weather", "input": {}} if tools else {"type": "text", "text": ""}
    )
    deltas = (
        [{"type": "input_json_delta", "partial_json": half} for half in (ARGUMENTS[:8], ARGUMENTS[8:])]
        if tools else [{"type": "text_delta", "text": word} for word in WORDS]
    )  # fmt: skip
    stop = {"stop_reason": "tool_use" if tools else "end_turn", "stop_sequence": None}
    return [
        {"type": "message_start", "message": begun},
        {"type": "content_block_start", "index": 0, "content_block": block},
        *({"type": "content_block_delta", "index": 0, "delta": delta} for delta in deltas),
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": stop, "usage": {"output_tokens": 4}},
        {"type": "message_stop"},
    ]


def _responses(body: Mapping[str, Any]) -> list[dict[str, Any]]:
    model, place = body.get("model"), {"item_id": "msg_1", "output_index": 0, "content_index": 0}
    deltas = [{"type": "response.output_text.delta", **place, "delta": word, "logprobs": []} for word in WORDS]
    told: list[dict[str, Any]] = [
        {"type": "response.created", "response": response("in_progress", model)},
        {"type": "response.in_progress", "response": response("in_progress", model)}, *deltas,
        {"type": "response.completed", "response": response("completed", model)},
    ]  # fmt: skip
    return [{**each, "sequence_number": number} for number, each in enumerate(told)]
