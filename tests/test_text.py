"""No decision rests on a text for people: with messages turned into nonsense, the same is found at the same places.

The nonsense is made where a text becomes part of a value, so that whoever reads it back reads nonsense.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple
from unittest import mock

import pytest

import stormc
from stormc.actions.importing import Target, import_into
from stormc.emit.size import SchemaProblem
from stormc.finding import Finding, Mark
from stormc.load.sources import Sources
from stormc.migrate.note import Note
from stormc.migrate.proposal import Chosen
from stormc.migrate.refusals import Refusal
from stormc.phrase import Phrase
from stormc.reference.pages import fields
from stormc.repository.repository import open_repository
from stormc.rules import all_rules
from stormc.rules.rule import Violation
from tests.golden import CASES, names
from tests.migrate import CASES as IMPORTS
from tests.migrate import names as imports
from tests.rules.judging import judge, judge_example
from tests.samples import BASE, compile_in, repository

TEXTS = {
    Finding: ("message", "hint"), Violation: ("message", "hint"), Note: ("message", "hint"),
    Refusal: ("reason", "hint"), SchemaProblem: ("message",),
}  # fmt: skip
"""The values that carry text, and in which fields."""


def nonsense(text: str) -> str:
    """The text in words of no language: other texts become other words, an empty one stays empty.

    A phrase stays one, with its values.
    """
    if isinstance(text, Phrase):
        strange = Phrase(babble(text))
        strange.template, strange.values = babble(text.template), text.values
        return strange
    return babble(text)


def babble(text: str) -> str:
    return "".join(chr(0x10D0 + ord(letter) % 32) for letter in text) + f"{len(text)}" if text else ""


def babbling(kind: type[Any], texts: tuple[str, ...]) -> Callable[..., Any]:
    original: Callable[..., Any] = kind.__new__

    def make(cls: type[Any], *values: Any, **named: Any) -> Any:
        given = dict(zip(kind._fields, values, strict=False)) | named
        return original(cls, **{name: nonsense(value) if name in texts else value for name, value in given.items()})

    return make


@contextmanager
def nonsense_everywhere() -> Iterator[None]:
    with ExitStack() as stack:
        for kind, texts in TEXTS.items():
            stack.enter_context(mock.patch.object(kind, "__new__", babbling(kind, texts)))
        yield


class Decision(NamedTuple):
    """What is left of a finding without its text."""

    rule: str
    file: str
    mark: Mark


def decisions(findings: list[Finding]) -> list[Decision]:
    return sorted(Decision(f.rule, f.file, f.mark) for f in findings)


def of_case(name: str) -> list[Finding]:
    specs = CASES / name / "specs"
    made = repository({str(p.relative_to(specs)): p.read_text(encoding="utf-8") for p in specs.rglob("*.yaml")})
    return [finding for source in made.apps for finding in compile_in(made, source).findings]


def same_in_nonsense(find: Callable[[], list[Finding]]) -> list[Finding]:
    plain = find()
    with nonsense_everywhere():
        strange = find()
    assert decisions(strange) == decisions(plain)
    assert not {f.message for f in strange} & {f.message for f in plain}, "the text was made elsewhere"
    return plain


@pytest.mark.parametrize("name", names())
def test_golden_cases_are_decided_alike_in_nonsense(name: str) -> None:
    same_in_nonsense(lambda: of_case(name))


@pytest.mark.parametrize("rule", all_rules(), ids=lambda rule: rule.id)
def test_examples_of_rules_are_decided_alike_in_nonsense(rule: Any) -> None:
    for example in rule.bad:
        assert same_in_nonsense(partial(judge_example, example)), fields(example)


def import_case(name: str) -> tuple[list[Decision], list[object]]:
    nothing = Target(open_repository(Sources("specs", (), ())), "", Path("specs"))
    raw = (IMPORTS / name / "input.yaml").read_bytes()
    apps = import_into("input.yaml", raw, nothing, Chosen("atlas-800i-a2"), "me")
    differences = [(d.kind, d.role, d.path) for app in apps for d in app.differences]
    return decisions([finding for app in apps for finding in app.findings]), [differences, [app.name for app in apps]]


@pytest.mark.parametrize("name", imports())
def test_imports_are_decided_alike_in_nonsense(name: str) -> None:
    plain = import_case(name)
    with nonsense_everywhere():
        assert import_case(name) == plain


MISTAKES = [
    "prefill: {replicas: two}",
    "decode: {podGroupSize: 101, env: {A$: x}}",
    "{model: {path: /dev/shm/a}, decode: {env: {A: b}}}",
    "{faults: {retries: -1}, decode: {spBlock: 24}, name: Qwen}",
    "hardware: atlas-900",
    "{replcas: 3, decode: {replcas: 3, podGroupSize: 2, dataParallel: 6}}",
    "{model: {nam: x}, prefill: {imag: 'a:1', env: {HCCL_BUFSIZE: 1}}}",
    "{imagee: 'a:1', fautls: {retries: 1}, decode: {minAvailable: 9}}",
]


@pytest.mark.parametrize("spec", MISTAKES)
def test_mistakes_are_decided_alike_in_nonsense(spec: str) -> None:
    assert same_in_nonsense(lambda: judge(spec))


def test_a_missing_field_with_a_misspelt_one_beside_it() -> None:
    text = BASE.replace("image:", "imgae:").replace("  path:", "  pth:")
    made = repository({"app.yaml": text})
    found = same_in_nonsense(lambda: list(compile_in(made).findings))
    assert [f.rule for f in found] == ["E201", "E201"]


TEXT_FIELDS = {"message", "hint", "because", "reason", "title"}
SEARCHES = {"startswith", "endswith", "find", "index", "partition", "removeprefix", "rpartition", "split", "count"}


def readings(tree: ast.AST) -> Iterator[int]:
    """Lines that compare, search or parse an attribute that holds text, or a variable that was given one."""
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
    yield from sorted({line for each in (tree, *functions) for line in _readings(each, names_of_texts(each))})


def names_of_texts(function: ast.AST) -> set[str]:
    """The variables of a function to which a text is assigned; none of a module, where names have other meanings."""
    if not isinstance(function, ast.FunctionDef):
        return set()
    assigned = [node for node in ast.walk(function) if isinstance(node, ast.Assign) and is_text(node.value)]
    return {target.id for node in assigned for target in node.targets if isinstance(target, ast.Name)}


def _readings(tree: ast.AST, variables: set[str]) -> Iterator[int]:
    for node in ast.walk(tree):
        parts: list[ast.expr] = []
        if isinstance(node, ast.Compare):
            parts = [node.left, *node.comparators]
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            if node.func.attr in SEARCHES:
                parts = [node.func.value]
            elif node.func.attr in ("match", "search", "fullmatch", "findall", "finditer"):
                parts = list(node.args)
        if any(is_text(part) or (isinstance(part, ast.Name) and part.id in variables) for part in parts):
            yield node.lineno  # type: ignore[attr-defined]


def is_text(part: ast.expr) -> bool:
    """Whether it is an attribute that holds text, or what is made of one: `str(a.hint)`, `a.hint.lower()[0]`."""
    if isinstance(part, ast.Attribute):
        return part.attr in TEXT_FIELDS or is_text(part.value)
    if isinstance(part, ast.Call):
        is_str = isinstance(part.func, ast.Name) and part.func.id in ("str", "repr", "len")
        return any(map(is_text, part.args)) if is_str else is_text(part.func)
    return isinstance(part, ast.Subscript) and is_text(part.value)


def test_a_reading_is_seen() -> None:
    code = "if 'a' in f.message: pass\nif f.hint.startswith('b'): pass\nre.match('c', f.hint)\nprint(f.hint)\n"
    code += "if 'a' in str(f.hint): pass\nif f.hint.lower()[0] == 'a': pass\nf.hint.strip().split()\nstr(f.hint)\n"
    code += "def a(f):\n    text = str(f.message)\n    return 'b' in text\n"
    assert list(readings(ast.parse(code))) == [1, 2, 3, 5, 6, 7, 11]


@pytest.mark.parametrize("room", sorted(p.name for p in Path(stormc.__file__).parent.iterdir() if p.is_dir()))
def test_no_code_compares_or_searches_a_text(room: str) -> None:
    for path in (Path(stormc.__file__).parent / room).rglob("*.py"):
        assert list(readings(ast.parse(path.read_text(encoding="utf-8")))) == [], path
