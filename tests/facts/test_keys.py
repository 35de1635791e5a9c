"""A key, a directory or an API version that the cluster knows stands once: in facts/ (docs/architecture.md)."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from stormc.facts import keys, kinds
from stormc.facts.known_keys import TABLES

ROOT = Path(__file__).parent.parent.parent
ALONE = ("payload/launch.py", "local/vllm.py")
"""Programs that run in a pod, where stormc is not installed."""
PENDING: tuple[str, ...] = ()
WORDS = {keys.Label.APP, "distributed", "accelerator", keys.Label.JOB}
"""Keys that are also plain words."""


def known() -> set[str]:
    classes = (keys.Label, keys.Annotation, keys.NodeLabel, keys.Env, keys.Resource, keys.Directory)
    named = {value for c in classes for name, value in vars(c).items() if not name.startswith("_")}
    named |= {value for name, value in vars(keys).items() if name.isupper() and isinstance(value, str)}
    versions = {v for v in (*kinds.API_VERSIONS.values(), *kinds.MADE_BY_CONTROLLERS.values()) if "." in v}
    versions |= {value for name, value in vars(kinds).items() if name.isupper() and isinstance(value, str)}
    return (named | versions | {key for table in TABLES.values() for key in table}) - WORDS


def literals(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Every text of a module and where it stands, whatever stands around the text in an f-string or in bytes."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str | bytes):
            yield node.lineno, node.value if isinstance(node.value, str) else node.value.decode("latin-1")


def repeated(text: str, facts: set[str]) -> list[str]:
    return [f"{line}: {value}" for line, value in sorted(literals(ast.parse(text))) if value in facts]


def test_a_repeated_key_is_seen() -> None:
    text = 'a = {"role-name": 1}\nb = f"metadata/{a}" "huawei.com/npu"\nc = b"/dev/shm"\nd = f"stormc.dev/{a}"\n'
    assert repeated(text, known()) == ["1: role-name", "2: huawei.com/npu", "3: /dev/shm", "4: stormc.dev/"]


def test_no_key_of_the_cluster_stands_outside_the_facts() -> None:
    again = [
        f"{path.relative_to(ROOT)}:{where}"
        for root in ("compiler/stormc", "proxy/stormc_proxy")
        for path in sorted((ROOT / root).rglob("*.py"))
        if path.relative_to(ROOT / root).parts[0] not in ("facts", *PENDING)
        and str(path.relative_to(ROOT / root)) not in ALONE
        for where in repeated(path.read_text(encoding="utf-8"), known())
    ]
    assert again == []
