"""Keys of prompts: equal exactly as far as the text and everything else that decides about cached blocks is equal."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stormc_proxy.fleet.prompt_keys import (
    MOST_KEYS,
    STEP,
    Chain,
    chained_everywhere,
    chained_here,
    end_of,
    pieces,
    prompt_of,
    session_of,
)
from stormc_proxy.flow.body import Body

CHAINS = pytest.mark.parametrize("chain", [chained_here, chained_everywhere])


def body(**members: Any) -> Body:
    return Body(json.dumps({"model": "m", **members}, ensure_ascii=False).encode())


def common(first: Body, second: Body, chain: Chain = chained_here) -> int:
    """Bytes of the second that the first shares, as the keys have it."""
    ours, theirs = prompt_of(first, "", chain), prompt_of(second, "", chain)
    same = 0
    while same < min(len(ours.keys), len(theirs.keys)) and ours.keys[same] == theirs.keys[same]:
        same += 1
    assert not set(ours.keys[same:]) & set(theirs.keys[same:])
    return theirs.matched(same)


def conversation(turns: int, system: str = "You help. " * 300) -> list[dict[str, str]]:
    messages = [{"role": "system", "content": system}]
    for turn in range(turns):
        messages.append({"role": "user", "content": f"question {turn} " + "word " * 200})
        messages.append({"role": "assistant", "content": f"answer {turn} " + "text " * 200})
    return messages


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 9000), st.integers(0, 9000))
def test_two_texts_share_the_keys_that_end_before_their_first_difference(same: int, more: int) -> None:
    first, second = "s" * same + "a" * more, "s" * same + "b" * more
    ours, theirs = pieces(first), pieces(second)
    shared = sum(1 for mine, other in zip(ours, theirs, strict=True) if mine == other)
    ends = [end for end in map(end_of, range(1, len(ours) + 1)) if end <= (same if more else same + more)]
    assert shared == len(ends)
    assert "".join(ours) == first[: end_of(len(ours))]
    assert end_of(len(ours) + 1) > len(first)


@CHAINS
def test_a_conversation_shares_what_was_said_before(chain: Chain) -> None:
    before, after = body(messages=conversation(3)), body(messages=conversation(4))
    assert before.length - STEP <= common(before, after, chain) <= before.length


@CHAINS
@pytest.mark.parametrize(
    ("first", "second"),
    [
        ({"cache_salt": "one"}, {"cache_salt": "two"}),
        ({"model": "m"}, {"model": "lora"}),
        ({"chat_template_kwargs": {"thinking": True}}, {}),
        ({"tools": [{"type": "function", "function": {"name": "f"}}]}, {}),
    ],
)
def test_nothing_is_shared_where_the_engine_would_share_nothing(
    chain: Chain, first: dict[str, Any], second: dict[str, Any]
) -> None:
    messages = conversation(3)
    one, other = ({"messages": messages, **members} for members in (first, second))
    assert common(Body(json.dumps(one).encode()), Body(json.dumps(other).encode()), chain) == 0


@pytest.mark.parametrize("change", [{"temperature": 0.1}, {"stream": True}, {"max_tokens": 7, "user": "u"}])
def test_how_the_answer_is_made_does_not_matter(change: dict[str, Any]) -> None:
    plain = body(messages=conversation(3))
    assert common(plain, body(messages=conversation(3), **change)) > plain.length - STEP
    assert common(plain, body(**change, messages=conversation(3))) > plain.length - STEP, "in any order"


@pytest.mark.parametrize(
    "members",
    [
        {"prompt": "text " * 1000},
        {"prompt": list(range(2000))},
        {"messages": conversation(2)},
        {"system": "You help.", "messages": conversation(2)},
        {"instructions": "You help.", "input": "text " * 1000},
        {"tools": [{"name": "f" * 3000}], "messages": [{"role": "user", "content": "hello"}]},
    ],
    ids=lambda members: "+".join(members),
)
def test_every_form_of_a_prompt_has_keys(members: dict[str, Any]) -> None:
    assert common(body(**members), body(**members)) >= 2048


def test_a_prompt_of_one_block_has_a_key() -> None:
    """The engines' blocks are 128 tokens: a short conversation finds its instance too."""
    short = body(messages=[{"role": "user", "content": "word " * 120}])
    assert common(short, short) == 512 * short.length // prompt_of(short).characters
    assert common(body(prompt="hello"), body(prompt="hello")) == 0


def test_characters_of_several_bytes_count_as_bytes() -> None:
    chinese = body(prompt="提示词" * 40000)
    prompt = prompt_of(chinese)
    assert 0.9 * chinese.length < prompt.matched(len(prompt.keys)) <= chinese.length


def test_a_lone_surrogate_is_text_too() -> None:
    for chain in (chained_here, chained_everywhere):
        prompt = prompt_of(Body(b'{"prompt":"' + b"\\ud800" * 500 + b'"}'), "", chain)
        assert len(prompt.keys) == 3
    assert chained_everywhere(0, "\ud800") != chained_everywhere(0, "\ud801")


def test_a_huge_prompt_has_a_bounded_number_of_keys() -> None:
    assert len(prompt_of(body(prompt="x" * (5 << 20))).keys) == MOST_KEYS


def test_keys_of_other_pods_are_the_same() -> None:
    """A CRC depends on nothing but the text; the value is that of RFC 1952, computed by hand once."""
    assert chained_everywhere(0, "123456789") == 0xCBF43926


@CHAINS
def test_sessions_differ_by_name_model_and_salt(chain: Chain) -> None:
    plain, salted = body(prompt="p"), body(prompt="p", cache_salt="s")
    names = {prompt_of(each, name, chain).session for each in (plain, salted) for name in ("a", "b")}
    assert len(names) == 4
    assert prompt_of(plain, "", chain).session == 0


@pytest.mark.parametrize(
    ("headers", "session"),
    [
        (b"Host: h\r\nX-Session-ID: abc\r\nAccept: */*\r\n", "abc"),
        (b"x-aibrix-session-key:k 1\r\n", "k 1"),
        (b"X-Session-Id:\r\nAccept: */*\r\n", ""),
        (b"X-Request-Id: r\r\n", ""),
        (b"X-Session-ID: \xe4\r\n", "\xe4"),
        (b"", ""),
    ],
)
def test_headers_that_name_a_session(headers: bytes, session: str) -> None:
    assert session_of(headers) == session
