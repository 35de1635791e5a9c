"""Texts that are no YAML: the place of the mistake, not the one where a parser gave up."""

from __future__ import annotations

import pytest

from stormc.load.document import load_document

CASES = {
    "no space after a colon": ("a: 1\nport:9000\nb: {c: 1}\n", 2, 5, "no space after the colon of port"),
    "no colon": ("a:\n  replicas 3\n  b: 1\n", 2, 11, "no colon after replicas"),
    "an equals sign": ("a: 1\nqueue = blue\nb: 1\n", 2, 6, "no colon after queue"),
    "two colons": ("a: 1\npath: /x: y\n", 2, 7, "a second colon in the value of path"),
    "a quote of a value": ('a: "x  # y\nb:\n  c: "d"\n', 1, 4, 'the text that begins here with " is not closed'),
    "a quote at the end": ("a: 1\nb: 'x\n", 2, 4, "the text that begins here with ' is not closed"),
    "a quote after one over two lines": ("a: 'x\n  y'\nb: 'x\nc: 1\n", 3, 4, "the text that begins here with '"),
    "a list": ("a: [1, 2\nb: 1\n", 1, 4, "the list that begins here with [ is not closed"),
    "a mapping": ("x:\n  a: {b: 1,\n    c: 2\n  d: 1\n", 2, 6, "the mapping that begins here with { is not closed"),
    "a mapping in a list": ("a: [{b: 1, c: 2]\nd: 1\n", 1, 5, "the mapping that begins here with {"),
    "brackets in quotes are none": ("a: ['[', \"{\"]\nb: [1\n", 2, 4, "the list that begins here with ["),
    "indented deeper": ("a:\n  b: 1\n    c: 2\n", 3, 5, "indented by 4, its neighbours by 2"),
    "indented less": ("a:\n    b: 1\n  c: 2\n", 3, 3, "indented by 2, its neighbours by 4"),
    "indented less, in a list": ("a:\n- b: 1\n c: 2\n", 3, 2, "indented by 1, its neighbours by 0"),
    "a no-break space": ("a:\n\xa0\xa0b: 1\n  c: 1\n", 2, 1, "a no-break space (U+00A0) indents this line"),
    "an ideographic space": ("a:\n\u3000b: 1\n  c: 1\n", 2, 1, "an ideographic space (U+3000) indents this line"),
    "a tab": ("a:\n  b: 1\n\tc: 1\n", 3, 1, "a tab indents this line"),
    "a no-break space of a key": (
        "a:\n  b: 1\n\xa0\xa0c: 1\n",
        3,
        1,
        "a no-break space (U+00A0) indents",
    ),
    "a conflict": ("a: 1\n<<<<<<< HEAD\nb: 1\n=======\nb: 2\n>>>>>>> x\n", 2, 1, "a merge of Git left its conflict"),
    "a comma of an input method": ("a: {b: c，d: 1}\n", 1, 9, "full-width comma '，' (U+FF0C)"),
    "a character that YAML keeps": ("a: 1\nb: {c: @d}\n", 2, 8, "a value that begins with @ needs quotes"),
    "a percent sign": ("a: 1\nb: %d\n", 2, 4, "a value that begins with % needs quotes"),
    "brackets in braces": ("a: {b: http://x?c=[d]}\n", 1, 8, "in {…} and […], a value that holds brackets"),
    "a variable in braces": ("a: {b: ${C}}\n", 1, 8, "in {…} and […], a value that holds brackets"),
    "a template": ("a: {{ .Values.a }}\n", 1, 5, "{{…}} is a template's"),
    "a mapping over lines is closed": ("a: {\n  b: 1,\n  c: 2\n}\nd: @x\n", 5, 4, "a value that begins with @"),
    "a no-break space after a colon": ("a: 1\nb:\xa01\nc: 1\n", 2, 2, "no space after the colon of b"),
    "nothing that is known": ("a: 1\n- b\n", 2, 1, "not YAML"),
}


@pytest.mark.parametrize("case", CASES)
def test_a_finding_stands_at_the_mistake(case: str) -> None:
    text, line, column, message = CASES[case]
    document, (finding,) = load_document("s.yaml", text.encode())
    assert document is None
    assert (finding.rule, finding.mark.line, finding.mark.column) == ("E104", line, column)
    assert str(finding.message).startswith(message)
    assert finding.hint


def test_every_full_width_colon_is_reported_in_one_run() -> None:
    _, findings = load_document("s.yaml", "a：1\nb: 1\nc：2\n".encode())
    assert [(f.mark.line, f.mark.column) for f in findings] == [(1, 2), (3, 2)]


@pytest.mark.parametrize(
    "text", ["a: 'it''s\n  fine'\n", 'a: "x: [y"\n', "a: [b, {c: d}]\n", "u: http://x:1/y\n", "a: |\n  b:c\n  [\n"]
)
def test_good_yaml_is_read(text: str) -> None:
    assert load_document("s.yaml", text.encode())[1] == []
