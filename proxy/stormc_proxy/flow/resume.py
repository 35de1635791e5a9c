"""An answer that its decode instance gave up for recomputation, and how it goes on as if nothing had happened.

vllm-ascend's scheduler aborts a request when it runs out of KV cache and says so by `stop_reason: "recomputed"`
(vllm_ascend/core/recompute_scheduler.py). The client must not see it: what was said so far becomes part of the prompt,
the budget of tokens shrinks by what was used, and the next answer continues the first one under its id.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from stormc_proxy.flow.body import Body, dumped

MARK = "recomputed"
MARK_BYTES = MARK.encode()
COMPLETION_TOKENS = 16
"""vLLM's default of max_tokens for /v1/completions."""
_OF_PROMPT = ("prompt_logprobs", "prompt_token_ids")
"""What an answer tells of its prompt; that of a resumed answer holds part of the answer."""
_GRAMMARS = ("response_format", "structured_outputs", "guided_json", "guided_regex", "guided_choice", "guided_grammar")


def gave_up(value: Mapping[str, Any]) -> bool:
    """Whether an answer or chunk says that its request was given up. Other stop reasons may be numbers."""
    choices = value.get("choices")
    return isinstance(choices, list) and any(isinstance(c, dict) and c.get("stop_reason") == MARK for c in choices)


@dataclass
class PartialAnswer:
    """What the answer said so far, over all attempts."""

    text: str = ""
    token_ids: list[int] = field(default_factory=list)
    ids_complete: bool = True
    tokens: int = 0
    prompt_tokens: int | None = None
    logprobs: list[Mapping[str, Any]] = field(default_factory=list)
    opaque: bool = False
    """Said something that text cannot carry on: a tool call, reasoning."""
    finished: bool = False
    """Said why it ends."""

    def add(self, values: Iterable[Mapping[str, Any]], chat: bool) -> tuple[int | None, int]:
        """Take in the chunks, or the answer, of one attempt.

        Returns its number of completion tokens: what usage says, else the token ids, else the log-probabilities; None
        if nothing tells. The caller adds it to `tokens`. And the number of chunks that said something.
        """
        usage_tokens = logprob_tokens = id_tokens = None
        telling_chunks, earlier = 0, len(self.text)
        for value in values:
            usage = value.get("usage")
            if isinstance(usage, dict):
                usage_tokens = usage.get("completion_tokens", usage_tokens)
                if self.prompt_tokens is None:
                    self.prompt_tokens = usage.get("prompt_tokens")
            for choice in value.get("choices") or ():
                part = (choice.get("delta") or choice.get("message") or {}) if chat else choice
                text = part.get("content" if chat else "text") or ""
                self.text += text
                telling_chunks += bool(text)
                if part.get("tool_calls") or part.get("reasoning_content") or part.get("reasoning"):
                    self.opaque = True
                self.finished = self.finished or bool(choice.get("finish_reason") and choice.get("stop_reason") != MARK)
                token_ids = choice.get("token_ids")
                if token_ids:
                    self.token_ids += token_ids
                    id_tokens = (id_tokens or 0) + len(token_ids)
                elif text:
                    self.ids_complete = False
                logprobs = choice.get("logprobs")
                if isinstance(logprobs, dict):
                    self.logprobs.append(shifted(logprobs, earlier))
                    logprob_tokens = (logprob_tokens or 0) + len(logprobs.get("content" if chat else "tokens") or ())
        return next(
            (count for count in (usage_tokens, id_tokens, logprob_tokens) if isinstance(count, int)), None
        ), telling_chunks


def limit(body: Body, chat: bool) -> int | None:
    """How many tokens the client asked for; None is as many as fit."""
    values = body.values
    named = values.get("max_completion_tokens") if chat else None
    named = values.get("max_tokens") if named is None else named
    if isinstance(named, int):
        return named
    return None if chat else COMPLETION_TOKENS


def asks_usage(body: Body) -> bool:
    """Whether the client wants usage at the end of its stream."""
    options = body.values.get("stream_options")
    return isinstance(options, dict) and bool(options.get("include_usage"))


def resumable(body: Body, partial: PartialAnswer, chat: bool) -> bool:
    """Whether a prompt can carry what was said.

    Not so for tool calls, reasoning, a grammar half-way, and text for a prompt of token ids.
    """
    if partial.opaque:
        return False
    if any(_is_grammar(body.values.get(key)) for key in _GRAMMARS):
        return not partial.text
    prompt = None if chat else single(body.value("prompt"))
    return isinstance(prompt, str) or chat or partial.ids_complete


def _is_grammar(value: object) -> bool:
    return bool(value) and not (isinstance(value, dict) and value.get("type") == "text")


def single(prompt: object) -> object:
    """A prompt without the list around it, if it is the only one."""
    return prompt[0] if isinstance(prompt, list) and len(prompt) == 1 and not isinstance(prompt[0], int) else prompt


def continuation_body(body: Body, partial: PartialAnswer, chat: bool, first_message: bool) -> Body:
    """The client's body, asking for the rest of the answer. `first_message`: the reference's place for it in a chat."""
    values = body.values
    changes: dict[str, str | None] = {}
    if chat:
        messages = body.value("messages")
        if first_message:
            changes["messages"] = dumped(_appended_to_first(messages, partial.text))
        elif partial.text:
            changes["messages"] = dumped(_with_answer(values, messages, partial.text))
            changes["continue_final_message"] = "true"
            changes["add_generation_prompt"] = "false"
    else:
        prompt = single(body.value("prompt"))
        if values.get("echo"):
            changes["prompt"], changes["echo"] = dumped(partial.text or prompt), "false"
        elif isinstance(prompt, list):
            changes["prompt"] = dumped([*prompt, *partial.token_ids])
        else:
            changes["prompt"] = dumped(f"{prompt}{partial.text}")
    token_limit = limit(body, chat)
    if token_limit is not None:
        key = "max_completion_tokens" if chat and values.get("max_completion_tokens") is not None else "max_tokens"
        changes[key] = str(max(1, token_limit - partial.tokens))
    if isinstance(values.get("min_tokens"), int):
        changes["min_tokens"] = str(max(0, values["min_tokens"] - partial.tokens))
    return body.replaced(changes)


def _with_answer(values: Mapping[str, Any], messages: list[Any], text: str) -> list[Any]:
    if values.get("continue_final_message") and messages and isinstance(messages[-1].get("content"), str):
        return [*messages[:-1], {**messages[-1], "content": messages[-1]["content"] + text}]
    return [*messages, {"role": "assistant", "content": text}]


def _appended_to_first(messages: Any, text: str) -> list[Any]:
    first, *others = messages
    content = first.get("content")
    more = [*content, {"type": "text", "text": text}] if isinstance(content, list) else f"{content or ''}{text}"
    return [{**first, "content": more}, *others]


def joined_answer(
    answer: dict[str, Any], first: Mapping[str, Any], partial: PartialAnswer, chat: bool
) -> dict[str, Any]:
    """The last attempt's answer as the answer of all attempts: the text of `partial` before its own, one id, all usage.

    `partial` holds the attempts before this one.
    """
    whole = {**answer, **{key: first[key] for key in ("id", "created", *_OF_PROMPT) if key in first}}
    first_choice = (first.get("choices") or [{}])[0]
    choices = []
    for choice in answer.get("choices") or ():
        choice = {**choice, **{key: first_choice[key] for key in _OF_PROMPT if key in first_choice}}
        if chat:
            message = dict(choice.get("message") or {})
            message["content"] = partial.text + (message.get("content") or "")
            choice["message"] = message
        else:
            choice["text"] = partial.text + (choice.get("text") or "")
        if isinstance(choice.get("logprobs"), dict):
            choice["logprobs"] = _joined_logprobs([*partial.logprobs, shifted(choice["logprobs"], len(partial.text))])
        if choice.get("token_ids") is not None:
            choice["token_ids"] = [*partial.token_ids, *choice["token_ids"]]
        choices.append(choice)
    whole["choices"] = choices
    if isinstance(answer.get("usage"), dict):
        whole["usage"] = summed_usage(answer["usage"], partial)
    return whole


def shifted(logprobs: Mapping[str, Any], characters: int) -> Mapping[str, Any]:
    """Log-probabilities of text that so many characters go before; only those of /v1/completions tell where it is."""
    offsets = logprobs.get("text_offset")
    if not characters or not isinstance(offsets, list):
        return logprobs
    return {**logprobs, "text_offset": [at + characters if isinstance(at, int) else at for at in offsets]}


def _joined_logprobs(parts: list[Mapping[str, Any]]) -> dict[str, Any]:
    return {
        key: [item for part in parts for item in part.get(key) or ()] if isinstance(value, list) else value
        for key, value in parts[-1].items()
    }


def summed_usage(usage: Mapping[str, Any], partial: PartialAnswer) -> dict[str, Any]:
    """The usage of one attempt as that of all: the client's own prompt, and every token of the answer."""
    whole = dict(usage)
    ours = usage.get("prompt_tokens")
    if isinstance(ours, int):
        whole["prompt_tokens"] = (
            partial.prompt_tokens if partial.prompt_tokens is not None else max(0, ours - partial.tokens)
        )
    if isinstance(usage.get("completion_tokens"), int):
        whole["completion_tokens"] = usage["completion_tokens"] + partial.tokens
        whole["total_tokens"] = whole.get("prompt_tokens", 0) + whole["completion_tokens"]
    return whole


def total_usage(partial: PartialAnswer) -> dict[str, Any]:
    """The usage of an answer that ends with what was said."""
    prompt = partial.prompt_tokens or 0
    return {"prompt_tokens": prompt, "completion_tokens": partial.tokens, "total_tokens": prompt + partial.tokens}


def answer_at_limit(
    value: dict[str, Any], before: dict[str, Any] | None, partial: PartialAnswer, count: int, chat: bool
) -> dict[str, Any]:
    """The answer of an attempt that was given up exactly at the budget's end, as the engine ends one there."""
    own = value["choices"][0]
    text = own["message"].get("content") if chat else own.get("text")
    earlier = PartialAnswer(
        partial.text[: len(partial.text) - len(text or "")], [], True, partial.tokens - count, partial.prompt_tokens,
        partial.logprobs[:-1] if isinstance(own.get("logprobs"), dict) else partial.logprobs,
    )  # fmt: skip
    whole = joined_answer(value, before or value, earlier, chat)
    for choice in whole["choices"]:
        choice.update(finish_reason="length", stop_reason=None)
    return whole
