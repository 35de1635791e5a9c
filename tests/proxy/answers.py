"""What an engine of the tests says: text that follows from the prompt, in the shape of the API, framed as HTTP."""

from __future__ import annotations

import json
import re
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tests.proxy.manner import Manner, Seen

FIRST_ID = 100_000
_WORDS = re.compile(r"(?: [0-9a-f]{8}\.\d+)*$")


def word(tag: str, number: int) -> str:
    """One token of an answer."""
    return f" {tag}.{number}"


def answer_to(prompt: object, count: int, start: int = 0) -> str:
    """The tokens `start` to `count` of the answer to a prompt: text, token ids, or the list of messages of a chat."""
    original = prompt if isinstance(prompt, str) else json.dumps(prompt, sort_keys=True)
    tag = f"{zlib.crc32(original.encode()):08x}"
    return "".join(word(tag, number) for number in range(start, count))


@dataclass(frozen=True)
class Task:
    """What a request asks for."""

    original: object
    start: int
    count: int
    prompt_tokens: int
    limited: bool

    @classmethod
    def of(cls, body: Mapping[str, Any], chat: bool) -> Task:
        """Where the answer begins, when part of it is in the prompt already, and how long it is."""
        limit = body.get("max_completion_tokens") if chat else None
        limit = body.get("max_tokens") if limit is None else limit
        count = limit if isinstance(limit, int) else 16
        if chat:
            original, start = _unsaid_chat(body)
            return cls(original, start, count, len(json.dumps(original).split()) + start, True)
        prompt = body.get("prompt")
        if isinstance(prompt, list) and len(prompt) == 1 and not isinstance(prompt[0], int):
            prompt = prompt[0]
        if isinstance(prompt, list):
            own = [number for number in prompt if number < FIRST_ID]
            return cls(own, len(prompt) - len(own), count, len(prompt), True)
        text, start = _unsaid(str(prompt))
        return cls(text, start, count, len(text.split()) + start, True)

    def text(self, number: int, many: int) -> str:
        """`many` tokens from the one of that number within this answer."""
        return answer_to(self.original, self.start + number + many, self.start + number)


def _unsaid(text: str) -> tuple[str, int]:
    found = _WORDS.search(text)
    assert found is not None
    return text[: found.start()], len(found.group().split())


def _unsaid_chat(body: Mapping[str, Any]) -> tuple[list[Any], int]:
    messages = [dict(message) for message in body["messages"]]
    place = -1 if body.get("continue_final_message") else 0
    content = messages[place].get("content")
    if not isinstance(content, str):
        last: dict[str, Any] = content[-1] if isinstance(content, list) and content else {}
        text, start = _unsaid(last.get("text") or "")
        if start:
            messages[place]["content"] = [*(content or ())[:-1], *([{**last, "text": text}] if text else [])]
        return messages, start
    text, start = _unsaid(content)
    if not text and place == -1:
        messages.pop()
    else:
        messages[place]["content"] = text
    return messages, start


def refusal(status: int) -> dict[str, Any]:
    """The body of an answer of that status."""
    return {"error": {"message": f"engine says {status} «ü»", "type": "BadRequestError", "param": None, "code": status}}


def event(value: object) -> bytes:
    """An event that carries a value."""
    return b"data: %b\n\n" % json.dumps(value, ensure_ascii=False).encode()


def chunked(payload: bytes) -> bytes:
    """A chunk."""
    return b"%x\r\n%b\r\n" % (len(payload), payload)


def head(status: int, length: int, manner: Manner) -> bytes:
    """The head of a whole answer."""
    lines = f"{_first(manner, status)}date: today\r\nserver: uvicorn\r\ncontent-length: {length}\r\n"
    return f"{lines}content-type: application/json\r\nx-engine: yes\r\n{_coding(manner)}\r\n".encode()


def stream_head(manner: Manner, length: int) -> bytes:
    """The head of a stream."""
    lines = (
        f"{_first(manner, 200)}server: uvicorn\r\ncontent-type: text/event-stream; charset=utf-8\r\nx-engine: yes\r\n"
    )
    framing = {"chunked": "transfer-encoding: chunked\r\n", "length": f"content-length: {length}\r\n", "close": ""}
    return f"{lines}{framing[framing_of(manner)]}{_coding(manner)}\r\n".encode()


def framing_of(manner: Manner) -> str:
    """How streams are framed."""
    return "close" if manner.old else manner.framing


def _first(manner: Manner, status: int) -> str:
    interim = "HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n" if manner.interim else ""
    return f"{interim}HTTP/1.{0 if manner.old else 1} {status} Whatever\r\n"


def _coding(manner: Manner) -> str:
    return "content-encoding: gzip\r\n" if manner.gzipped else ""


def packed(parts: Sequence[bytes], manner: Manner) -> list[bytes]:
    """The parts of a body, compressed if they shall be."""
    if not manner.gzipped:
        return list(parts)
    packer = zlib.compressobj(wbits=31)
    made = [packer.compress(part) + packer.flush(zlib.Z_SYNC_FLUSH) for part in parts]
    return [*made[:-1], made[-1] + packer.flush()]


def framed(events: Sequence[bytes], manner: Manner) -> list[bytes]:
    """The writes that carry a stream's events."""
    if manner.writes == "split":
        whole = b"".join(events)
        events = [whole[at : at + 37] for at in range(0, len(whole), 37)]
    events = packed(events, manner)
    if framing_of(manner) == "chunked":
        extension = b";a=b" if manner.trailers else b""
        parts = [b"%x%b\r\n%b\r\n" % (len(event), extension, event) for event in events]
        parts.append(b"0\r\nx-sum: 1\r\n\r\n" if manner.trailers else b"0\r\n\r\n")
    else:
        parts = list(events)
    return [b"".join(parts)] if manner.writes == "coalesced" else parts


def _usage(task: Task, completion: int) -> dict[str, Any]:
    prompt = task.prompt_tokens
    return {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}


def _choice(seen: Seen, task: Task, number: int, many: int, part: str, chat: bool) -> dict[str, Any]:
    """Tokens of an answer as a choice; `part` is delta or message in a chat."""
    text = task.text(number, many)
    if seen.body.get("echo") and number == 0:
        text = f"{seen.body['prompt']}{text}"
    choice: dict[str, Any] = {"index": 0, "logprobs": None, "finish_reason": None, "stop_reason": None}
    words = [task.text(number + k, 1) for k in range(many)]
    if chat:
        choice[part] = {"content": text}
        if seen.body.get("logprobs"):
            choice["logprobs"] = {"content": [{"token": each, "logprob": -0.5} for each in words]}
    else:
        choice["text"] = text
        if seen.body.get("logprobs"):
            choice["logprobs"] = {"tokens": words, "token_logprobs": [-0.5] * many, "top_logprobs": None}
    if seen.body.get("return_token_ids"):
        choice["token_ids"] = [FIRST_ID + task.start + number + k for k in range(many)]
    return choice


def _about(seen: Seen, chat: bool) -> dict[str, Any]:
    kind = "chat.completion" if chat else "text_completion"
    created = int(seen.began * 1000)
    return {"id": f"{'chatcmpl' if chat else 'cmpl'}-{seen.key}", "object": kind, "created": created, "model": "qwen"}


def events_of(seen: Seen, task: Task, manner: Manner, reason: Any, chat: bool) -> list[bytes]:
    """All events of a stream: for a chat a greeting, tokens, the end, usage if asked for, [DONE]."""
    about = _about(seen, chat)
    options = seen.body.get("stream_options") or {}
    values: list[dict[str, Any]] = []
    if chat:
        greeting = {"index": 0, "delta": {"role": "assistant", "content": ""}, "finish_reason": None}
        values.append({**about, "choices": [greeting]})
    for number in range(0, task.count, manner.per_event):
        many = min(manner.per_event, task.count - number)
        value = {**about, "choices": [_choice(seen, task, number, many, "delta", chat)]}
        if options.get("continuous_usage_stats"):
            value["usage"] = _usage(task, number + many)
        if manner.pad:
            value["pad"] = "x" * manner.pad
        values.append(value)
    if reason == "recomputed":
        empty: dict[str, Any] = {"delta": {"content": ""}} if chat else {"text": ""}
        values.append({**about, "choices": [{"index": 0, **empty, "finish_reason": "stop", "stop_reason": reason}]})
    elif task.count:
        values[-1]["choices"][0].update(finish_reason="length" if reason is None else "stop", stop_reason=reason)
    if options.get("include_usage") and manner.usage == "asked":
        values.append({**about, "choices": [], "usage": _usage(task, task.count)})
    raw = [b"data: %b\n\n" % json.dumps(value, ensure_ascii=False).encode() for value in values]
    return [*raw, b"data: [DONE]\n\n"]


def whole(seen: Seen, task: Task, manner: Manner, reason: Any, chat: bool) -> dict[str, Any]:
    """A whole answer."""
    choice = _choice(seen, task, 0, task.count, "message", chat)
    if chat:
        choice["message"] = {"role": "assistant", **choice["message"]}
    choice.update(finish_reason="length" if reason is None else "stop", stop_reason=reason)
    value: dict[str, Any] = {**_about(seen, chat), "choices": [choice]}
    if manner.usage != "none":
        value["usage"] = _usage(task, task.count) if manner.usage == "asked" else None
    return value
