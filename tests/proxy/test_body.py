"""Bodies: what is read is what json reads, what is rewritten says what was meant, and the rest keeps its text."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from stormc_proxy.flow.body import LARGE_BYTES, Body, BodyError, dumped
from stormc_proxy.flow.large_json import MOST_MARKS, MOST_MEMBERS, Unread, members_of

TEXT = st.text(st.characters(codec="utf-8"), max_size=12)
NAMES = ("stream", "max_tokens", "kv_transfer_params", "prompt", 'q"\\', "ü", "\u2028", "")
KEY = st.one_of(st.sampled_from(NAMES), TEXT)
VALUE = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-(2**70), 2**70), st.floats(allow_nan=False), TEXT),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(TEXT, inner, max_size=3)),
    max_leaves=6,
)
MEMBERS = st.lists(st.tuples(KEY, VALUE), max_size=7)
BLANK = st.text(" \t\n\r", max_size=3)
CHANGES = st.dictionaries(KEY, st.one_of(st.none(), VALUE.map(dumped)), max_size=4)


@st.composite
def objects(draw: st.DrawFn) -> tuple[str, list[tuple[str, Any]]]:
    """The text of an object with duplicate keys, blanks and escapes anywhere, and its members."""
    members = draw(MEMBERS)
    parts = []
    for key, value in members:
        name = json.dumps(key, ensure_ascii=draw(st.booleans()))
        if key and draw(st.booleans()):
            name = '"' + "".join(f"\\u{ord(c):04x}" if ord(c) < 0x10000 else json.dumps(c)[1:-1] for c in key) + '"'
        shown = json.dumps(value, ensure_ascii=draw(st.booleans()), indent=draw(st.sampled_from([None, 1])))
        parts.append(f"{draw(BLANK)}{name}{draw(BLANK)}:{draw(BLANK)}{shown}{draw(BLANK)}")
    inside = ",".join(parts) or draw(BLANK)
    return f"{draw(BLANK)}{{{inside}}}{draw(BLANK)}", members


@given(objects(), CHANGES)
@example(("{}", []), {})
@example(("{}", []), {"a": None})
@example(('{"a":1}', [("a", 1)]), {"a": None})
@example(('{"a":1,"a":2}', [("a", 1), ("a", 2)]), {"a": "3"})
def test_a_rewritten_body_says_what_was_meant(
    text_and_members: tuple[str, list[tuple[str, Any]]], changes: dict[str, str | None]
) -> None:
    text, members = text_and_members
    body = Body(text.encode())
    assert body.values == dict(members) == json.loads(text)
    assert body.length == len(text.encode())
    expected = {key: value for key, value in body.values.items() if key not in changes}
    expected |= {key: json.loads(value) for key, value in changes.items() if value is not None}
    raw = body.rewritten(changes)
    assert json.loads(raw) == expected
    once = json.loads(raw, object_pairs_hook=lambda pairs: [key for key, _ in pairs])
    assert all(once.count(key) == 1 for key in changes if key in once), "a changed member stands there once"
    assert body.replaced(changes).values == expected
    assert body.replaced(changes).rewritten(changes) == body.replaced(changes).replaced(changes).rewritten({})


@given(st.binary(max_size=30) | st.text('{}[]":, \\ntrue0123.eE-+', max_size=30).map(str.encode))
@example(b"\xef\xbb\xbf{}")
def test_what_json_refuses_is_refused(raw: bytes) -> None:
    try:
        expected = json.loads(raw.decode())
    except (ValueError, RecursionError):
        expected = None
    if isinstance(expected, dict):
        assert _same(Body(raw).values, expected)
    else:
        with pytest.raises(BodyError):
            Body(raw)


def _same(one: Any, other: Any) -> bool:
    """Equal, and NaN equals itself."""
    return json.dumps(one) == json.dumps(other)


@pytest.mark.parametrize("raw", [
    b"", b" ", b"null", b"[]", b'"text"', b"1", b"{", b"{}}", b"{} x", b'{"a"}', b'{"a":}', b'{"a":1,}', b"{,}",
    b'{"a" 1}', b"{a:1}", b"{'a':1}", b'{"a":1 "b":2}', b'{"a":1,,"b":2}', b'{"a":tru}', b'{"a":01}', b'{"a":"\n"}',
    b'{"\n":1}', b'{"a":"\xff"}', b'{"a":"\\x"}', b'{"a', b'{"a":"b', b'{"a":[1}', b'{"\\u00":1}',
    b'{"a":' + b"[" * 200_000, b'{"a":' + b'{"a":' * 200_000, b'{"a":1, 2}', b'{"a":1,\n}', b'{"a":1,  ',
])  # fmt: skip
def test_not_an_object(raw: bytes) -> None:
    with pytest.raises(BodyError, match=r"^the body is not (a JSON object|UTF-8)$"):
        Body(raw)


REWRITTEN: tuple[tuple[str, dict[str, str | None], str], ...] = (
    ('{"a":1,"b":2,"c":3}', {"b": None}, '{"a":1,"c":3}'),
    ('{"a":1,"b":2,"c":3}', {"a": None, "c": None}, '{"b":2}'),
    ('{"a":1,"b":2,"c":3}', {"a": None, "b": None, "c": None}, "{}"),
    ('{"a":1}', {"b": "true"}, '{"a":1,"b":true}'),
    ("{}", {"b": "true"}, '{"b":true}'),
    ('{ "a" : 1.50e+3 , "b" : [1, 2] }', {"c": "0"}, '{"a" : 1.50e+3 , "b" : [1, 2],"c":0}'),
    ('{"stream":true,"x":"\\u00fc","stream":false}', {"stream": "true"}, '{"x":"\\u00fc","stream":true}'),
    ('{"str\\u0065am":true}', {"stream": "false"}, '{"stream":false}'),
    (
        '{"big":123456789012345678901234567890,"f":0.1000}',
        {"a": "1"},
        '{"big":123456789012345678901234567890,"f":0.1000,"a":1}',
    ),
)


@pytest.mark.parametrize(("text", "changes", "expected"), REWRITTEN)
def test_members_that_do_not_change_keep_their_text(text: str, changes: dict[str, str | None], expected: str) -> None:
    assert Body(text.encode()).rewritten(changes).decode() == expected


@given(VALUE)
@example("\ud800")
@example({"\udfff": ["ü", "\u2028"]})
def test_dumped_is_json_in_utf_8(value: Any) -> None:
    text = dumped(value)
    assert json.loads(text.encode()) == value
    assert len(text) <= len(json.dumps(value))


def test_numbers_that_are_none_in_json_pass_as_python_writes_them() -> None:
    body = Body(b'{"temperature": NaN, "x": 1}')
    assert math.isnan(body.values["temperature"])
    assert body.rewritten({"x": "2"}) == b'{"temperature": NaN,"x":2}'


# -- large bodies ------------------------------------------------------------------------------------------------------

PADDING = b" " * LARGE_BYTES


class Watched(bytes):
    """Counts the bytes that are looked at for a mark."""

    looked = 0

    def find(self, mark: Any, start: Any = 0, *_: Any) -> int:
        where = super().find(mark, start)
        Watched.looked += (where if where >= 0 else len(self)) - start
        return where


@pytest.mark.parametrize("each", [b"[1,2,3]", b'{"a":"b"}', b'["[", "{\\"}"]'])
def test_a_body_is_looked_at_once_for_each_mark_however_many_values_it_has(each: bytes) -> None:
    """16,000 prompts of token ids held up all other requests for fifty seconds."""
    values = b",".join([each] * 2000)
    raw = Watched(b'{"a":%b,"prompt":[%b],"b":%b}' % (each, values, each))
    Watched.looked = 0
    prompt = {key: value for key, _, _, value in members_of(raw)}["prompt"]
    assert isinstance(prompt, Unread)
    assert [element.text for element in prompt.elements()] == [each] * 2000
    assert Watched.looked <= 12 * len(raw)


@given(MEMBERS, BLANK)
def test_a_large_body_says_what_a_small_one_says(members: list[tuple[str, Any]], blank: str) -> None:
    text = "{" + ",".join(f"{blank}{json.dumps(key)}{blank}:{json.dumps(value)}" for key, value in members) + "}"
    large, small = Body(text.encode() + PADDING), Body(text.encode())
    assert _same({key: large.value(key) for key in large.values}, small.values)


@pytest.mark.parametrize("raw", [
    b'{"a":[%b1]}' % (b"[]," * (MOST_MARKS // 2)), b'{"a":[%b1]}' % (b'"",' * MOST_MARKS),
    b"{%b}" % b",".join(b'"%d":1' % number for number in range(MOST_MEMBERS + 1)),
])  # fmt: skip
def test_a_body_that_would_take_seconds_to_read_is_refused(raw: bytes) -> None:
    with pytest.raises(BodyError, match="more lists, objects and texts"):
        Body(raw + PADDING)
