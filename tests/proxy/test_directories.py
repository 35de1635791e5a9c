"""The proxy's directories import each other in one direction: docs/proxy.md says which."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PROXY = ROOT / "proxy/stormc_proxy"
FOR_ALL = {"settings", "options", "outcomes", "transitions", "random_ids"}
"""Modules that every directory may import."""


def may_import() -> dict[str, set[str]]:
    """The table in docs/proxy.md."""
    table = (ROOT / "docs/proxy.md").read_text(encoding="utf-8").partition("| May import |\n")[2].partition("\n\n")[0]
    rows = [[re.findall(r"`(\w+)`", cell) for cell in line.strip("|").split("|")] for line in table.splitlines()[1:]]
    return {name[0]: set(imported) for name, _, imported in rows}


def imported(module: Path) -> Iterator[str]:
    """First words of what a module imports from the proxy."""
    for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("stormc_proxy."):
            yield (node.module or "").split(".")[1]


def part_of(module: Path) -> str:
    """The directory of a module, or its own name where it lies above them."""
    return module.relative_to(PROXY).with_suffix("").parts[0]


ALLOWED = may_import()
MODULES = [path for path in sorted(PROXY.rglob("*.py")) if part_of(path) in ALLOWED]


def test_the_table_has_every_directory_and_no_circle() -> None:
    directories = {path.name for path in PROXY.iterdir() if (path / "__init__.py").is_file()}
    assert ALLOWED.keys() == directories | {"workers"}
    assert len(list(TopologicalSorter(ALLOWED).static_order())) == len(ALLOWED)


@pytest.mark.parametrize("module", MODULES, ids=lambda path: path.relative_to(PROXY).as_posix())
def test_a_module_imports_what_its_directory_may(module: Path) -> None:
    own = part_of(module)
    assert set(imported(module)) <= ALLOWED[own] | FOR_ALL | {own}


@pytest.mark.parametrize("name", sorted(FOR_ALL))
def test_what_all_may_import_knows_no_directory(name: str) -> None:
    assert set(imported(PROXY / f"{name}.py")) <= FOR_ALL
