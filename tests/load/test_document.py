"""The loader: one clear finding at the right place for anything that is no document, and plain data for what is."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from ruamel.yaml import YAML

from stormc.load.document import MAX_BYTES, load_document

BOMB = "a: &a [1,1,1,1,1,1,1,1,1,1]\n" + "".join(
    f"{chr(98 + n)}: &{chr(98 + n)} [{','.join(['*' + chr(97 + n)] * 10)}]\n" for n in range(6)
)

BAD: list[tuple[str, bytes, str, int, int, str]] = [
    ("empty", b"", "E106", 1, 1, "the file is empty"),
    ("blank", b"\n\n  \n", "E106", 4, 1, "the file is empty"),
    ("comments", b"# nothing\n# here\n", "E106", 3, 1, "the file is empty"),
    ("marker", b"---\n", "E106", 2, 1, "the file is empty"),
    ("list", b"- a\n- b\n", "E106", 1, 1, "holds a list"),
    ("scalar", b"hello\n", "E106", 1, 1, "a single value"),
    ("two documents", b"a: 1\n---\nb: 2\n", "E105", 2, 1, "second YAML document"),
    ("tab", b"a:\n\tb: 1\n", "E104", 2, 1, "a tab indents this line"),
    ("full-width colon", "a:\n  pod-rescheduling：on\n  b: c\n".encode(), "E104", 2, 19, "full-width colon"),
    ("full-width colon at the top", "name：x\n".encode(), "E104", 1, 5, "full-width colon"),
    ("unclosed", b"a: [1, 2\n", "E104", 1, 4, "not closed"),
    ("unclosed quote", b'a: "x\n', "E104", 1, 4, "not closed"),
    ("bad indent", b"a: 1\n  b: 2\n", "E104", 2, 3, "indented by 2, its neighbours by 0"),
    ("control character", b"b: 1\na: \x01\n", "E104", 2, 4, "not YAML"),
    ("line hidden in a comment", "a: 1  # fine\x85b: 2\n".encode(), "E104", 1, 13, "nobody sees: U+0085"),
    ("line separator in a comment", "# one\u2028b: 2\na: 1\n".encode(), "E104", 1, 6, "nobody sees: U+2028"),
    ("carriage return in a comment", b"a: 1  # fine\rb: 2\n", "E104", 1, 13, "nobody sees: U+000D"),
    ("mark between fields", "m:\n  a: 1\n\ufeff  b: 1\n".encode(), "E104", 3, 1, "U+FEFF"),
    ("direction of writing", "a: b # \u202efine\n".encode(), "E104", 1, 8, "nobody sees: U+202E"),
    ("escape of half a character", b'a: "\\uDCFF"\n', "E104", 1, 0, "not YAML"),
    ("escape of two halves", b'a: "\\uD83D\\uDE00"\n', "E104", 1, 0, "not YAML"),
    ("escape of half a character in a key", b'"\\uDCFF": 1\n', "E104", 1, 0, "not YAML"),
    ("escape beyond Unicode", b'a: "\\U00110000"\n', "E104", 1, 0, "not YAML"),
    ("not UTF-8", b"a: b\nc: \xff\n", "E103", 2, 4, "byte 0xff"),
    ("UTF-16", "a: 1\n".encode("utf-16"), "E103", 1, 1, "not UTF-8"),
    ("not UTF-8 behind a mark", b"\xef\xbb\xbfa: \xff", "E103", 1, 4, "not UTF-8: byte 0xff"),
    ("too large", b"#" * (MAX_BYTES + 1), "E102", 1, 1, f"the limit is {MAX_BYTES}"),
    ("duplicate key", b"a: 1\nb: 2\na: 3\n", "E108", 3, 1, "duplicate key a, first set on line 1"),
    ("duplicate key below", b"x:\n  a: 1\n  a: 2\n", "E108", 3, 3, "first set on line 2"),
    ("tag", b"a: !!python/object:os.system ls\n", "E104", 1, 4, "is not supported"),
    ("tag on a mapping", b"a: !x {b: 1}\n", "E104", 1, 4, "is not supported"),
    ("merge key", b"a: &x {b: 1}\nc:\n  <<: *x\n", "E104", 3, 3, "merge keys"),
    ("key of two parts", b"? [a, b]\n: 1\n", "E104", 1, 3, "a key must be a plain string"),
    ("unknown alias", b"a: *x\n", "E104", 1, 4, "no anchor"),
    ("alias of itself", b"a: &x [*x]\n", "E107", 1, 8, "contains itself"),
    ("aliases bomb", BOMB.encode(), "E107", 5, 0, "expands to more than"),
    ("many aliases", b"a: &a x\nb: [" + b"*a, " * 30_000 + b"]\n", "E107", 2, 0, "expands to more than"),
    ("depth bomb", b"a: " + b"[" * 5000, "E107", 1, 0, "nested deeper than"),
    ("depth bomb of mappings", b"{a: " * 5000, "E107", 1, 0, "nested deeper than"),
]  # fmt: skip


@pytest.mark.parametrize(("raw", "rule", "line", "column", "message"), [b[1:] for b in BAD], ids=[b[0] for b in BAD])
def test_a_text_that_is_no_spec_is_one_finding(raw: bytes, rule: str, line: int, column: int, message: str) -> None:
    document, findings = load_document("specs/x.yaml", raw)
    assert document is None
    (finding,) = findings
    assert (finding.rule, finding.file, finding.mark.line) == (rule, "specs/x.yaml", line)
    assert column in (0, finding.mark.column)
    assert message in finding.message
    assert finding.hint and "\n" not in finding.message + finding.hint


def test_the_full_width_colon_is_explained() -> None:
    _, (finding,) = load_document("x", "labels:\n  pod-rescheduling：on\n  a: b\n".encode())
    assert finding.hint == "write 'pod-rescheduling: ' with an ASCII colon and a space"


def test_every_duplicate_is_reported() -> None:
    _, findings = load_document("x", b"a: 1\na: 2\nb:\n  c: 1\n  c: 2\na: 3\n")
    assert [(f.mark.line, f.path) for f in findings] == [(2, ("a",)), (5, ("b", "c")), (6, ("a",))]


GOOD: list[tuple[bytes, Any]] = [
    (b"a: 1\n", {"a": 1}),
    (b"\xef\xbb\xbfa: 1\n", {"a": 1}),
    (b"a: 1\r\nb: x\r\n", {"a": 1, "b": "x"}),
    (b"--- # comment\na: 1\n...\n", {"a": 1}),
    (b"a: on\nb: yes\nc: y\nd: No\n", {"a": "on", "b": "yes", "c": "y", "d": "No"}),
    (b"a: true\nb: False\nc: null\nd: ~\ne:\n", {"a": True, "b": False, "c": None, "d": None, "e": None}),
    (b"a: 12:30\nb: 1_000\nc: 2026-11-23\nd: .inf\n", {"a": "12:30", "b": "1_000", "c": "2026-11-23", "d": ".inf"}),
    (b"a: 0x1F\nb: 0o17\nc: 017\nd: 1e3\ne: -1.5\n", {"a": 31, "b": 15, "c": 17, "d": 1000.0, "e": -1.5}),
    (b"a: '1'\nb: \"2\"\nc: !!str 3\n", {"a": "1", "b": "2", "c": "3"}),
    (b"a: &x [1, 2]\nb: *x\n", {"a": [1, 2], "b": [1, 2]}),
    (b"a: |\n  x\n  y\nb: >\n  x\n  y\n", {"a": "x\ny\n", "b": "x y\n"}),
    ("名: 值\n".encode(), {"名": "值"}),
]


@pytest.mark.parametrize(("raw", "data"), GOOD, ids=[raw.decode()[:30] for raw, _ in GOOD])
def test_a_document_becomes_plain_data(raw: bytes, data: Any) -> None:
    document, findings = load_document("x", raw)
    assert document is not None and not findings
    assert document.data == data


def test_keys_and_values_have_places() -> None:
    document, _ = load_document("x", "# 名\nmodel:\n  名: {path: /m}\nlist:\n  - a\n  - b: 1\n".encode())
    assert document is not None
    assert document.keys["model", "名"][:2] == (3, 3)
    assert document.values["model", "名", "path"] == (3, 13, 3, 15)
    assert document.values["list", 1, "b"][:2] == (6, 8)
    assert document.locate(("model", "名", "missing"))[:2] == (3, 6)
    assert document.locate(("nothing",))[:2] == (1, 1)


FLOW = [
    ("{image: a:b}", {"image": "a:b"}),
    ("{image: vllm-ascend:v0.12.0, replicas: 2}", {"image": "vllm-ascend:v0.12.0", "replicas": 2}),
    ("{url: https://x/y.git}", {"url": "https://x/y.git"}),
    ("{gitops: {argocd: {repoURL: https://git.example.com/a/b.git, project: x}}}",
     {"gitops": {"argocd": {"repoURL": "https://git.example.com/a/b.git", "project": "x"}}}),
    ("{hosts: [a:1, b:2, http://c:3/d?e=f#g]}", {"hosts": ["a:1", "b:2", "http://c:3/d?e=f#g"]}),
    ("{a: b?c, d: e-f, at: 12:30}", {"a": "b?c", "d": "e-f", "at": "12:30"}),
    ('{"a":1, "b":{"c":[]}}', {"a": 1, "b": {"c": []}}),
    ("{addresses: [::1, fe80::1], label: :x}", {"addresses": ["::1", "fe80::1"], "label": ":x"}),
]  # fmt: skip


@pytest.mark.parametrize(("text", "data"), FLOW)
def test_colons_in_flow_style_are_read(text: str, data: dict[str, Any]) -> None:
    document, findings = load_document("x", text.encode())
    assert findings == []
    assert document is not None and document.data == data == YAML(typ="safe", pure=True).load(text)


@given(st.binary(max_size=300))
def test_no_bytes_make_the_loader_raise(raw: bytes) -> None:
    document, findings = load_document("x", raw)
    assert (document is None) == bool(findings)


YAML_LIKE = st.text(st.sampled_from("ab1:-[]{},&*!|>'\"#%@?~ \n\t：<é\x85\ufeff"), max_size=60)


@given(YAML_LIKE)
def test_nothing_that_looks_like_yaml_raises(text: str) -> None:
    document, findings = load_document("x", text.encode())
    assert (document is None) == bool(findings)
    for finding in findings:
        assert finding.mark.line >= 1 and finding.mark.column >= 1


names = st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\ufeff\ufffe\uffff"), max_size=8)
# What PyYAML, a YAML 1.1 writer, leaves plain although YAML 1.2 reads a number: 0E0.
names = names.filter(lambda name: not name.lstrip("+-.")[:1].isdigit())
# A key that begins with a space of another kind is an indentation that went wrong.
names = names.filter(lambda name: name[:1] <= "~" or not name[:1].isspace())
values = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**9), 10**9) | names,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3),
    max_leaves=10,
)


@given(st.dictionaries(names.filter(lambda name: name != "<<"), values, min_size=1, max_size=4), st.booleans())
def test_what_pyyaml_writes_is_read_as_it_was(data: dict[str, Any], flow: bool) -> None:
    class NoAliases(yaml.SafeDumper):
        def ignore_aliases(self, data: Any) -> bool:
            return True

    text = yaml.dump(data, Dumper=NoAliases, allow_unicode=True, default_flow_style=flow)
    document, findings = load_document("x", text.encode())
    assert document is not None, (text, findings)
    assert document.data == data
