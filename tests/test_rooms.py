"""The rooms of the source and the arrows between them: docs/architecture.md says what may be."""

from __future__ import annotations

import ast
import re
import sys
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parent.parent
VALUES = {
    "stormc.finding", "stormc.phrase", "stormc.nouns", "stormc.failure", "stormc.digest", "stormc.record",
    "stormc.facts",
}  # fmt: skip
"""What every room may import."""


class Room(NamedTuple):
    """A row of the table of rooms, with full module names."""

    name: str
    may_import: frozenset[str]
    libraries: frozenset[str]


def read_rooms() -> list[Room]:
    """The table of rooms in docs/architecture.md."""
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    table = text.partition("## Rooms\n")[2].partition("\n## ")[0]
    rooms = []
    for line in re.findall(r"^\| `.*$", table, flags=re.M):
        name, _, may_import, libraries = (cell.strip() for cell in line.strip("|").split("|"))
        arrows = {"stormc"} if may_import == "any" else {full(word) for word in re.findall(r"`([^`]+)`", may_import)}
        rooms.append(Room(full(name.strip("`")), frozenset(arrows), frozenset(re.findall(r"\w+", libraries)) - {"–"}))
    return rooms


def full(name: str) -> str:
    """The module of a name in the table, which leaves `stormc.` out."""
    return name if name == "stormc_proxy" else f"stormc.{name}"


ROOMS = read_rooms()
PURE = ("stormc.passes", "stormc.rules", "stormc.compile")
OF_VALUES = {
    "__future__", "collections", "difflib", "enum", "functools", "importlib", "itertools", "json", "math", "operator",
    "posixpath", "re", "shlex", "typing",
}  # fmt: skip
"""What pure rooms may import of Python's library: it knows no disk, no clock, no environment."""
REACHING_OUT = {"open", "print", "input", "eval", "exec", "compile", "breakpoint", "__import__", "globals"}
"""Built-in functions that do, or that hide what is done."""

MODULES = {
    ".".join(path.relative_to(ROOT / root).with_suffix("").parts).removesuffix(".__init__"): path
    for root in ("compiler", "proxy")
    for path in sorted((ROOT / root).rglob("*.py"))
}


@cache
def tree_of(module: str) -> ast.Module:
    """A module as a tree."""
    return ast.parse(MODULES[module].read_text(encoding="utf-8"))


@cache
def imports(module: str) -> frozenset[str]:
    """Every module that a module imports, at any depth."""
    names: set[str] = set()
    for node in ast.walk(tree_of(module)):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0 and node.module, f"{module}: imports are absolute"
            inner = {f"{node.module}.{alias.name}" for alias in node.names}
            names |= inner & MODULES.keys() or {node.module}
    return frozenset(names)


def inside(name: str, room: str) -> bool:
    return name == room or name.startswith(f"{room}.")


def rooms_of(module: str) -> list[Room]:
    return [room for room in ROOMS if inside(module, room.name)]


@pytest.mark.parametrize("module", sorted(MODULES.keys() - {"stormc"}))
def test_a_module_has_a_room_and_its_arrows_point_one_way(module: str) -> None:
    (room,) = rooms_of(module)
    allowed = room.may_import | VALUES | {room.name}
    ours = {name for name in imports(module) if inside(name, "stormc") or inside(name, "stormc_proxy")}
    wrong = {name for name in ours if name != "stormc" and not any(inside(name, other) for other in allowed)}
    assert not wrong, f"{module} may not import {sorted(wrong)}"


@pytest.mark.parametrize("room", ROOMS, ids=lambda room: room.name)
def test_a_room_of_the_table_exists_and_lists_nothing_that_it_does_not_use(room: Room) -> None:
    inhabitants = [module for module in MODULES if inside(module, room.name)]
    assert inhabitants, "no such room"
    names = {name for module in inhabitants for name in imports(module)}
    unused = {arrow for arrow in room.may_import if not any(inside(name, arrow) for name in names)}
    assert not unused, f"{room.name} does not import {sorted(unused)}"
    assert not room.libraries - {name.split(".")[0] for name in names}


@pytest.mark.parametrize("module", sorted(MODULES.keys() - {"stormc"}))
def test_libraries_stay_in_their_rooms(module: str) -> None:
    (room,) = rooms_of(module)
    roots = {name.split(".")[0] for name in imports(module)} - {"stormc", "stormc_proxy", "__future__"}
    foreign = roots - sys.stdlib_module_names
    assert foreign <= room.libraries, f"{module} may not import {sorted(foreign - room.libraries)}"


@pytest.mark.parametrize("module", [m for m in sorted(MODULES) if any(inside(m, room) for room in PURE)])
def test_pure_rooms_do_no_io(module: str) -> None:
    assert not {name.split(".")[0] for name in imports(module)} & sys.stdlib_module_names - OF_VALUES
    tree = tree_of(module)
    assert not {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)} & REACHING_OUT
    assert not [node.lineno for node in ast.walk(tree) if isinstance(node, (ast.Global, ast.Nonlocal))]


@pytest.mark.parametrize("module", [m for m in sorted(MODULES) if inside(m, "stormc.passes")])
def test_passes_know_no_other_pass(module: str) -> None:
    names = imports(module)
    if module != "stormc.passes":
        package = module.rpartition(".")[0] if module.count(".") > 2 else module
        allowed = (package, *(f"stormc.passes.{name}" for name in ("because", "edit", "existence", "runner")))
        others = {n for n in names if inside(n, "stormc.passes") and not any(inside(n, a) for a in allowed)}
        assert others <= {"stormc.passes"}, f"{module} imports {sorted(others)}"


LIGHT = {
    *("stormc", "stormc.facts", "stormc.facts.limits", "stormc.failure", "stormc.finding", "stormc.languages"),
    *("stormc.nouns", "stormc.phrase", "stormc.report", "stormc.report.escape", "stormc.report.text"),
    *(f"stormc.commands.{n}" for n in ("connect", "documents", "findings", "progress", "root", "speech")),
}
"""What the command line has loaded by then, or what loads in no time."""


@pytest.mark.parametrize("module", [m for m in sorted(MODULES) if inside(m, "stormc.commands")])
def test_commands_import_heavy_things_only_when_they_run(module: str) -> None:
    tree = tree_of(module)
    top = {node.module for node in tree.body if isinstance(node, ast.ImportFrom)}
    top |= {alias.name for node in tree.body if isinstance(node, ast.Import) for alias in node.names}
    assert not {name for name in top if name and inside(name, "stormc")} - LIGHT


def test_no_module_has_a_name_that_explains_nothing() -> None:
    empty = {"utils", "util", "helpers", "helper", "common", "manager", "base", "misc"}
    assert not {module for module in MODULES if module.rpartition(".")[2] in empty}


TESTS = sorted((ROOT / "tests").rglob("*.py"))


@pytest.mark.parametrize("path", TESTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_what_tests_share_is_no_test_module(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    modules = {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert not {module for module in modules if re.match(r"tests\.(.*\.)?test_", module)}
