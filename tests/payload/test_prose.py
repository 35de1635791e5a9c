"""Pods get the code of a file without comments and docstrings: it does the same, in the same lines."""

from __future__ import annotations

import ast
import io
import tokenize
from pathlib import Path
from textwrap import indent

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stormc.payload.read import read_payload, without_prose
from tools.payload import PLACES
from tools.prose import prose_runs

MODULES = [
    pytest.param(place / path, text, id=path)
    for place, program in zip(PLACES.values(), read_payload(), strict=True)
    for path, text in program.read().items()
    if path.endswith(".py")
]


def shipped(source: str) -> str:
    raw = source.encode()
    return without_prose(raw, " ".join(map(str, prose_runs(raw)))).decode()


def places(source: str) -> list[tuple[object, ...]]:
    """All nodes but texts that do nothing: what each is and in which line. Byte code is made of no more."""
    listed: list[tuple[object, ...]] = []
    waiting: list[ast.AST] = [ast.parse(source)]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            continue
        plain = [value for _, value in ast.iter_fields(node) if not isinstance(value, (ast.AST, list))]
        listed.append((type(node), plain, getattr(node, "lineno", 0)))
        waiting += ast.iter_child_nodes(node)
    return listed


def comments(source: str) -> list[str]:
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    return [token.string for token in tokens if token.type == tokenize.COMMENT]


@pytest.mark.parametrize(("path", "text"), MODULES)
def test_every_file_does_the_same_in_the_same_lines(path: Path, text: str) -> None:
    source = path.read_text(encoding="utf-8")
    assert places(text) == places(source)
    assert text.count("\n") == source.count("\n")


@pytest.mark.parametrize(("path", "text"), MODULES)
def test_no_file_has_words_but_those_that_say_where_they_are(path: Path, text: str) -> None:
    home = path.relative_to(Path(__file__).parents[2]).as_posix()
    assert comments(text) == [f"# {home} of stormc, where its comments are"] and text.startswith("#")
    texts = [ast.get_docstring(node) for node in ast.walk(ast.parse(text))
             if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef))]  # fmt: skip
    assert not any(texts)


CASES = {
    "a comment after code": ("x = 1  # why\n", "x = 1\n"),
    "a comment in its own line": ("if x:\n    # why\n    y\n", "if x:\n\n    y\n"),
    "comments and texts in a row": ('"""A."""\n# b\n\n"""C\nd"""\nx\n', "\n\n\n\n\nx\n"),
    "a text and a comment in one line": ('x\n"""A."""  # b\ny\n', "x\n\ny\n"),
    "no line end": ("x  # why", "x"),
    "a hash in a text": ("x = '# no comment'  # 'one'\n", "x = '# no comment'\n"),
    "a hash in a text of several lines": ('x = """\n# no comment\n"""\n', 'x = """\n# no comment\n"""\n'),
    "a formatted text": ("f'{x}  # no comment'  # one\n", "f'{x}  # no comment'\n"),
    "a text that is used": ("print('a')\nx = 'b'\n'c'.upper()\n", "print('a')\nx = 'b'\n'c'.upper()\n"),
    "bytes": ("b'a'\n", "b'a'\n"),
    "a docstring": ('def f():\n    """A."""\n    return 1\n', "def f():\n\n    return 1\n"),
    "a docstring alone": ('class A:\n    """A."""\n', 'class A:\n    ""\n'),
    "a raw docstring alone": ("class A:\n    r'''A.'''\n", "class A:\n    r''\n"),
    "a docstring of several lines alone": ('class A:\n    """A.\n\n    é\n    """\n', 'class A:\n    """\n\n\n"""\n'),
    "texts alone": ("class A:\n    'a'\n    'b'\n", "class A:\n    ''\n\n"),
    "a docstring after a colon": ('def f(): """A."""\n', 'def f(): ""\n'),
    "a docstring after a colon, and code": ("def f(): 'a'; return 1\n", "def f(): ''; return 1\n"),
    "a docstring before code": ('"""A\nb"""; x = 1\n', '"""\n"""; x = 1\n'),
    "a docstring in brackets": ("def f():\n    ('a'  # b\n     'c')\n", "def f():\n    (''\n     '')\n"),
    "a docstring with an escaped line end": ("def f():\n    'a\\\nb'\n", "def f():\n    'a\\\nb'\n"),
    "a text behind a constant": ('A = 1\n"""Seconds."""\nB = 2\n', "A = 1\n\nB = 2\n"),
    "a text alone in a branch": ("if x:\n    'a'\nelse:\n    'b'\n", "if x:\n    ''\nelse:\n    ''\n"),
    "between decorators": ("@a  # b\n# c\n@d\ndef f(): ...\n", "@a\n\n@d\ndef f(): ...\n"),
    "in brackets": ("x = [  # a\n    # b\n    1,\n]\n", "x = [\n\n    1,\n]\n"),
    "after characters of several bytes": ("é = '…'  # ö\ny  # ü\n", "é = '…'\ny\n"),
    "a shebang": ("#!/usr/bin/python3\n# why\nx\n", "#!/usr/bin/python3\n\nx\n"),
    "an encoding": ("# a\n# -*- coding: utf-8 -*-\n# coding: b\n", "\n# -*- coding: utf-8 -*-\n\n"),
    "an instruction of the future": ('"""A."""\nfrom __future__ import annotations\n',
                                     "\nfrom __future__ import annotations\n"),
    "nothing": ("", ""),
}  # fmt: skip


@pytest.mark.parametrize("case", list(CASES))
def test_what_goes_and_what_stays(case: str) -> None:
    source, expected = CASES[case]
    assert shipped(source) == expected
    assert shipped(expected) == expected
    assert places(expected) == places(source)


WORDS = st.text(st.characters(exclude_characters="\"'{}\\", exclude_categories=["Cc", "Cs", "Zl", "Zp"]), max_size=9)
SIMPLE = st.builds(lambda code, words: code.replace("WORDS", words), st.sampled_from([
    "x = 1  # WORDS", "# WORDS\nx += 2", "'''WORDS'''\ny = 3", "z = '# WORDS'", "'WORDS'",
    'w = 4\n"""WORDS\n WORDS"""', "f(  # WORDS\n  1,\n)", "f'{x}# WORDS'", "v = '''\n# WORDS\n'''", "'WORDS'; u = 5",
    "('WORDS'\n'WORDS')  # WORDS",
]), WORDS)  # fmt: skip


def blocks(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    heads = st.sampled_from(["def f():", "class A:", "if x:", "@d  # a\nclass B:", "for x in y:  # why", "with x:"])
    bodies = st.lists(inner, min_size=1, max_size=4).map("\n".join)
    return st.builds(lambda head, body: f"{head}\n{indent(body, '    ')}", heads, bodies)


@given(st.lists(st.recursive(SIMPLE, blocks, max_leaves=6), max_size=5).map("\n".join))
def test_any_program_does_the_same_without_words(source: str) -> None:
    text = shipped(source)
    assert places(text) == places(source)
    assert not comments(text) and shipped(text) == text


def test_other_words_of_as_many_lines_change_nothing_at_all() -> None:
    source = '"""A."""\n\nX = 1  # b\n"""C\n\nd."""\n\n\nclass E(Exception):\n    """F."""\n    # g\n'
    reworded = '# Z, which is longer\n\nX = 1\n"""\n\n"""\n\n\nclass E(Exception):\n    """Y: x."""\n\n'
    assert shipped(source) == shipped(reworded)
