"""What goes on after decode gave an answer up: budget, prompt, usage and ids, as values."""

from __future__ import annotations

import json
from typing import Any

import pytest

from stormc_proxy.flow.body import Body
from stormc_proxy.flow.cached_tokens import usage_with_cached
from stormc_proxy.flow.resume import (
    PartialAnswer,
    continuation_body,
    gave_up,
    joined_answer,
    limit,
    resumable,
    summed_usage,
    total_usage,
)


def body_of(**values: Any) -> Body:
    """A client's body."""
    return Body(json.dumps(values).encode())


def said_of(text: str = "", tokens: int = 0, ids: list[int] | None = None) -> PartialAnswer:
    """What was said."""
    return PartialAnswer(text=text, tokens=tokens, token_ids=ids or [], ids_complete=ids is not None)


@pytest.mark.parametrize(("stop", "yes"), [
    ("recomputed", True), ("recompute", False), (154829, False), (None, False), ("length", False),
    (["recomputed"], False),
])  # fmt: skip
def test_only_the_exact_word_means_given_up(stop: object, yes: bool) -> None:
    assert gave_up({"choices": [{"index": 0, "stop_reason": stop}]}) == yes


@pytest.mark.parametrize("value", [{}, {"choices": None}, {"choices": []}, {"choices": ["recomputed"]}, {"choices": 1}])
def test_other_shapes_mean_nothing(value: dict[str, Any]) -> None:
    assert not gave_up(value)


@pytest.mark.parametrize(("values", "chat", "tokens"), [
    ({"max_tokens": 7}, False, 7),
    ({}, False, 16),
    ({}, True, None),
    ({"max_tokens": 7}, True, 7),
    ({"max_tokens": 7, "max_completion_tokens": 9}, True, 9),
    ({"max_tokens": 7, "max_completion_tokens": None}, True, 7),
    ({"max_completion_tokens": 9}, False, 16),
    ({"max_tokens": None}, False, 16),
    ({"max_tokens": None}, True, None),
])  # fmt: skip
def test_limit(values: dict[str, Any], chat: bool, tokens: int | None) -> None:
    assert limit(body_of(**values), chat) == tokens


CONTINUED: tuple[tuple[str, bool, dict[str, Any], PartialAnswer, bool, dict[str, Any]], ...] = (
    (
        "a prompt grows by the text",
        False,
        {"prompt": "Say", "max_tokens": 10},
        said_of(" a b", 2),
        False,
        {"prompt": "Say a b", "max_tokens": 8},
    ),
    (
        "the default budget is the engine's",
        False,
        {"prompt": "Say"},
        said_of(" a", 1),
        False,
        {"prompt": "Say a", "max_tokens": 15},
    ),
    (
        "token ids grow by ids",
        False,
        {"prompt": [1, 2], "max_tokens": 10},
        said_of("ab", 2, [7, 8]),
        False,
        {"prompt": [1, 2, 7, 8], "max_tokens": 8},
    ),
    (
        "a list of one prompt is one prompt",
        False,
        {"prompt": ["Say"], "max_tokens": 4},
        said_of("!", 1),
        False,
        {"prompt": "Say!", "max_tokens": 3},
    ),
    (
        "of one list of ids too",
        False,
        {"prompt": [[1, 2]], "max_tokens": 4},
        said_of("!", 1, [3]),
        False,
        {"prompt": [1, 2, 3], "max_tokens": 3},
    ),
    (
        "what was echoed is said",
        False,
        {"prompt": "Say", "echo": True, "max_tokens": 4},
        said_of("Say it", 1),
        False,
        {"prompt": "Say it", "echo": False, "max_tokens": 3},
    ),
    (
        "min_tokens shrinks with the budget",
        False,
        {"prompt": "S", "max_tokens": 9, "min_tokens": 5},
        said_of("x", 2),
        False,
        {"prompt": "Sx", "max_tokens": 7, "min_tokens": 3},
    ),
    (
        "and stops at zero",
        False,
        {"prompt": "S", "max_tokens": 9, "min_tokens": 1},
        said_of("x", 2),
        False,
        {"prompt": "Sx", "max_tokens": 7, "min_tokens": 0},
    ),
    (
        "a chat goes on in a message of its own",
        True,
        {"messages": [{"role": "system", "content": "S"}, {"role": "user", "content": "Q"}], "max_tokens": 5},
        said_of("A", 1),
        False,
        {
            "messages": [
                {"role": "system", "content": "S"},
                {"role": "user", "content": "Q"},
                {"role": "assistant", "content": "A"},
            ],
            "max_tokens": 4,
            "continue_final_message": True,
            "add_generation_prompt": False,
        },
    ),
    (
        "which the client may have begun",
        True,
        {
            "messages": [{"role": "user", "content": "Q"}, {"role": "assistant", "content": "A"}],
            "continue_final_message": True,
            "add_generation_prompt": False,
            "max_completion_tokens": 5,
        },
        said_of("B", 1),
        False,
        {
            "messages": [{"role": "user", "content": "Q"}, {"role": "assistant", "content": "AB"}],
            "max_completion_tokens": 4,
            "continue_final_message": True,
            "add_generation_prompt": False,
        },
    ),
    (
        "a chat that said nothing starts again",
        True,
        {"messages": [{"role": "user", "content": "Q"}], "max_tokens": 5},
        said_of("", 0),
        False,
        {"messages": [{"role": "user", "content": "Q"}], "max_tokens": 5},
    ),
    (
        "a chat without a limit keeps none",
        True,
        {"messages": [{"role": "user", "content": "Q"}]},
        said_of("A", 3),
        False,
        {
            "messages": [{"role": "user", "content": "Q"}, {"role": "assistant", "content": "A"}],
            "continue_final_message": True,
            "add_generation_prompt": False,
        },
    ),
    (
        "the reference's place is the first message",
        True,
        {"messages": [{"role": "system", "content": "S"}, {"role": "user", "content": "Q"}], "max_tokens": 5},
        said_of("A", 1),
        True,
        {"messages": [{"role": "system", "content": "SA"}, {"role": "user", "content": "Q"}], "max_tokens": 4},
    ),
    (
        "images stay",
        True,
        {
            "messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:x"}}]}],
            "max_tokens": 5,
        },
        said_of("A", 1),
        True,
        {
            "messages": [
                {
                    "role": "user",
                    "content": [{"type": "image_url", "image_url": {"url": "data:x"}}, {"type": "text", "text": "A"}],
                }
            ],
            "max_tokens": 4,
        },
    ),
)


@pytest.mark.parametrize(
    ("chat", "values", "said", "first", "expected"), [row[1:] for row in CONTINUED], ids=[row[0] for row in CONTINUED]
)
def test_continued(
    chat: bool, values: dict[str, Any], said: PartialAnswer, first: bool, expected: dict[str, Any]
) -> None:
    extra = {"model": "qwen", "temperature": 0.5}
    assert continuation_body(body_of(**values, **extra), said, chat, first).values == {**expected, **extra}


@pytest.mark.parametrize(("values", "chat", "said", "yes"), [
    ({"prompt": "Say"}, False, said_of("a", 1), True),
    ({"prompt": [1]}, False, said_of("a", 1), False),
    ({"prompt": [1]}, False, said_of("a", 1, [2]), True),
    ({"messages": []}, True, said_of("a", 1), True),
    ({"messages": []}, True, PartialAnswer(opaque=True), False),
    ({"prompt": "S", "guided_json": {"a": 1}}, False, said_of("{", 1), False),
    ({"prompt": "S", "guided_json": {"a": 1}}, False, said_of("", 0), True),
    ({"messages": [], "response_format": {"type": "json_object"}}, True, said_of("{", 1), False),
    ({"messages": [], "response_format": {"type": "text"}}, True, said_of("{", 1), True),
])  # fmt: skip
def test_resumable(values: dict[str, Any], chat: bool, said: PartialAnswer, yes: bool) -> None:
    assert resumable(body_of(**values), said, chat) == yes


COUNTED: tuple[tuple[str, bool, list[dict[str, Any]], tuple[int | None, int]], ...] = (
    (
        "usage knows best",
        False,
        [{"choices": [{"text": "a", "token_ids": [1]}], "usage": {"completion_tokens": 5}}],
        (5, 1),
    ),
    (
        "the last of continuous usage",
        False,
        [
            {"choices": [{"text": "a"}], "usage": {"completion_tokens": 2}},
            {"choices": [{"text": "b"}], "usage": {"completion_tokens": 4}},
        ],
        (4, 2),
    ),
    (
        "token ids",
        False,
        [{"choices": [{"text": "ab", "token_ids": [1, 2]}]}, {"choices": [{"token_ids": [3]}]}],
        (3, 1),
    ),
    ("log-probabilities", False, [{"choices": [{"text": "ab", "logprobs": {"tokens": ["a", "b"]}}]}], (2, 1)),
    (
        "those of a chat",
        True,
        [{"choices": [{"delta": {"content": "ab"}, "logprobs": {"content": [{}, {}, {}]}}]}],
        (3, 1),
    ),
    (
        "nothing tells",
        True,
        [{"choices": [{"delta": {"content": "ab"}}]}, {"choices": [{"delta": {"content": "c"}}]}],
        (None, 2),
    ),
    ("usage may be null", False, [{"choices": [{"text": "a"}], "usage": None}], (None, 1)),
    ("and choices too", False, [{"choices": None}, {"error": 1}], (None, 0)),
)


@pytest.mark.parametrize(("chat", "values", "counts"), [r[1:] for r in COUNTED], ids=[r[0] for r in COUNTED])
def test_tokens_are_counted(chat: bool, values: list[dict[str, Any]], counts: tuple[int | None, int]) -> None:
    assert PartialAnswer().add(values, chat) == counts


@pytest.mark.parametrize("part", [
    {"tool_calls": [{"id": "x"}]}, {"reasoning_content": "hm"}, {"reasoning": "hm"},
])  # fmt: skip
def test_what_text_cannot_carry_is_noticed(part: dict[str, Any]) -> None:
    said = PartialAnswer()
    said.add([{"choices": [{"delta": part}]}], True)
    assert said.opaque


def test_a_joined_answer_is_one_answer() -> None:
    said = PartialAnswer(text=" a b", tokens=2, token_ids=[1, 2], prompt_tokens=3, logprobs=[{"tokens": [" a", " b"]}])
    first = {"id": "cmpl-1", "created": 5, "model": "qwen"}
    last = {
        "id": "cmpl-2", "created": 9, "model": "qwen",
        "choices": [{"index": 0, "text": " c", "token_ids": [3], "logprobs": {"tokens": [" c"]},
                     "finish_reason": "length"}],
        "usage": {"prompt_tokens": 5, "completion_tokens": 1, "total_tokens": 6},
    }  # fmt: skip
    assert joined_answer(last, first, said, False) == {
        "id": "cmpl-1", "created": 5, "model": "qwen",
        "choices": [{"index": 0, "text": " a b c", "token_ids": [1, 2, 3], "logprobs": {"tokens": [" a", " b", " c"]},
                     "finish_reason": "length"}],
        "usage": {"prompt_tokens": 3, "completion_tokens": 3, "total_tokens": 6},
    }  # fmt: skip


def test_a_joined_answer_tells_places_in_the_whole_text_and_the_clients_own_prompt() -> None:
    said = PartialAnswer()
    said.add([{"choices": [{"text": "äb", "logprobs": {"tokens": ["ä", "b"], "text_offset": [0, 1]}}]}], False)
    said.add([{"choices": [{"text": "c", "logprobs": {"tokens": ["c"], "text_offset": [0]}}]}], False)
    first = {"id": "cmpl-1", "choices": [{"text": "äb", "prompt_logprobs": [None], "prompt_token_ids": [7]}]}
    last = {"id": "cmpl-3", "choices": [
        {"text": "d", "prompt_logprobs": [None, 1, 2], "prompt_token_ids": [7, 8, 9],
         "logprobs": {"tokens": ["d"], "text_offset": [0]}}]}  # fmt: skip
    (choice,) = joined_answer(last, first, said, False)["choices"]
    assert choice["text"] == "äbcd" and choice["logprobs"]["text_offset"] == [0, 1, 2, 3]
    assert choice["prompt_token_ids"] == [7] and choice["prompt_logprobs"] == [None]


def test_usage_of_all_attempts() -> None:
    said = PartialAnswer(tokens=4, prompt_tokens=10)
    assert summed_usage({"prompt_tokens": 14, "completion_tokens": 6, "total_tokens": 20}, said) == {
        "prompt_tokens": 10, "completion_tokens": 10, "total_tokens": 20,
    }  # fmt: skip
    unknown = PartialAnswer(tokens=4)
    assert summed_usage({"prompt_tokens": 14, "completion_tokens": 6}, unknown)["prompt_tokens"] == 10
    assert total_usage(said) == {"prompt_tokens": 10, "completion_tokens": 4, "total_tokens": 14}


@pytest.mark.parametrize(("usage", "details"), [
    ({}, {"cached_tokens": 7}),
    ({"prompt_tokens_details": None}, {"cached_tokens": 7}),
    ({"prompt_tokens_details": {"cached_tokens": 1, "audio_tokens": 2}}, {"cached_tokens": 7, "audio_tokens": 2}),
])  # fmt: skip
def test_cached_tokens(usage: dict[str, Any], details: dict[str, Any]) -> None:
    assert usage_with_cached({"prompt_tokens": 9, **usage}, 7) == {
        "prompt_tokens": 9, "prompt_tokens_details": details,
    }  # fmt: skip


# -- a stream over several attempts, in any cut of its events ----------------------------------------------------------
