"""The arrows between the rooms: who may import whom (docs/architecture.md)."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

# room → what of ours it may import, besides itself and the facts; finding, failure and digest are values for everybody.
MAY_IMPORT = {
    "stormc.facts": set[str](),
    "stormc.finding": set(),
    "stormc.failure": set(),
    "stormc.digest": set(),
    "stormc.load": {"stormc.digest", "stormc.finding", "stormc.failure"},
    "stormc.model": {"stormc.digest", "stormc.finding", "stormc.load", "stormc.payload"},
    "stormc.rules": {"stormc.finding", "stormc.model"},
    "stormc.passes": {"stormc.model"},
    "stormc.compile": {
        "stormc.finding",
        "stormc.load",
        "stormc.model",
        "stormc.passes",
        "stormc.rules",
        "stormc.emit",
        "stormc.payload",
        "stormc.tree.files",
        "stormc.tree.layout",
    },
    "stormc.emit": {"stormc.digest", "stormc.finding"},
    "stormc.report": {"stormc.digest", "stormc.finding", "stormc.rules"},
    "stormc.gitops": {
        "stormc.emit",
        "stormc.finding",
        "stormc.passes.edit",
        "stormc.tree.layout",
        "stormc.model",
    },
    "stormc.history": {"stormc.failure"},
    "stormc.review": {"stormc.finding", "stormc.passes.edit"},
    "stormc.payload": {"stormc.digest"},
    "stormc.local": {"stormc.digest", "stormc.failure", "stormc.load", "stormc.report.escape"},
    "stormc.cluster": {"stormc.failure", "stormc.report.escape", "stormc.local.cluster", "stormc.model"},
    "stormc.migrate": {"stormc.finding", "stormc.passes", "stormc.rules.vocabulary", "stormc.model"},
    "stormc_proxy": set(),
}
# room → outside libraries that only it may import
LIBRARIES = {
    "ruamel": {"stormc.text.format", "stormc.load", "stormc.gitops.promotion"},
    "cerberus": {"stormc.model"},
    "jsonschema": {"stormc.emit"},
    "referencing": {"stormc.emit"},
    "git": {"stormc.history"},
    "aiohttp": {"stormc_proxy"},
    "kubernetes": {"stormc.cluster"},
    "urllib3": {"stormc.cluster"},
    "yaml": {"stormc.load", "stormc.cluster.connection"},
}
FORBIDDEN_IN_PASSES = {
    "os",
    "sys",
    "pathlib",
    "io",
    "time",
    "datetime",
    "random",
    "subprocess",
    "socket",
    "secrets",
    "uuid",
}

MODULES = {
    ".".join(path.relative_to(ROOT / root).with_suffix("").parts).removesuffix(".__init__"): path
    for root in ("compiler", "proxy")
    for path in sorted((ROOT / root).rglob("*.py"))
}


def imports(module: str) -> set[str]:
    """Every module that a module names in an import, at any depth."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(MODULES[module].read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module}: imports are absolute"
            found.add(node.module or "")
            found.update(f"{node.module}.{alias.name}" for alias in node.names)
    return found


def inside(name: str, room: str) -> bool:
    return name == room or name.startswith(f"{room}.")


def room_of(module: str) -> str | None:
    return next((room for room in MAY_IMPORT if inside(module, room)), None)


@pytest.mark.parametrize("module", sorted(MODULES))
def test_arrows_point_one_way(module: str) -> None:
    room = room_of(module)
    if room is None:
        return
    allowed = MAY_IMPORT[room] | {room, "stormc.facts"}
    ours = {name for name in imports(module) if inside(name, "stormc") or inside(name, "stormc_proxy")}
    wrong = {name for name in ours if name != "stormc" and not any(inside(name, other) for other in allowed)}
    assert not wrong, f"{module} may not import {sorted(wrong)}"


@pytest.mark.parametrize("module", sorted(MODULES))
def test_libraries_stay_in_their_room(module: str) -> None:
    for name in imports(module):
        rooms = LIBRARIES.get(name.split(".")[0])
        if rooms is not None:
            assert any(inside(module, room) for room in rooms), f"{module} may not import {name}"


@pytest.mark.parametrize("module", [m for m in sorted(MODULES) if inside(m, "stormc.compile")])
def test_a_compilation_does_no_io(module: str) -> None:
    assert not imports(module) & FORBIDDEN_IN_PASSES


@pytest.mark.parametrize("module", [m for m in sorted(MODULES) if inside(m, "stormc.passes")])
def test_passes_do_no_io_and_know_no_other_pass(module: str) -> None:
    names = imports(module)
    assert not names & FORBIDDEN_IN_PASSES
    if module != "stormc.passes":
        package = module.rpartition(".")[0] if module.count(".") > 2 else module
        allowed = ("stormc.passes.edit", "stormc.passes.runner", package)
        others = {n for n in names if inside(n, "stormc.passes") and not any(inside(n, a) for a in allowed)}
        assert others <= {"stormc.passes"}, f"{module} imports {sorted(others)}"


@pytest.mark.parametrize("module", [m for m in sorted(MODULES) if inside(m, "stormc.commands")])
def test_commands_import_heavy_things_only_when_they_run(module: str) -> None:
    tree = ast.parse(MODULES[module].read_text(encoding="utf-8"))
    top = {node.module for node in tree.body if isinstance(node, ast.ImportFrom)}
    top |= {alias.name for node in tree.body if isinstance(node, ast.Import) for alias in node.names}
    assert not {name for name in top if name and inside(name, "stormc")} - {"stormc.failure"}


def test_no_module_has_a_name_that_explains_nothing() -> None:
    empty = {"utils", "util", "helpers", "helper", "common", "manager", "base", "misc"}
    assert not {module for module in MODULES if module.rpartition(".")[2] in empty}
