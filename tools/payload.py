"""Writes the list of the programs that pods run: every file of launcher and proxy with the digests it is held against.

`.venv/bin/python -m tools.payload` makes compiler/stormc/payload/contents.json anew; `make golden` does it too. A file
has two digests: one of its bytes, which a render compares, and one of its code, which makes the program's version.
Behind them stands where its comments and docstrings are, which pods do not get.
"""

from __future__ import annotations

import ast
import json
from collections.abc import Iterator
from pathlib import Path

from stormc.digest import digest
from stormc.payload.read import CONTENTS, IGNORED, LAUNCHER, PROXY, key_of, without_prose
from tools.prose import is_text, prose_runs

ROOT = Path(__file__).resolve().parents[1]
PLACES = {LAUNCHER: ROOT / "compiler/stormc/payload", PROXY: ROOT / "proxy/stormc_proxy"}
MOST_BYTES = 900_000
"""Of a program: a ConfigMap takes 1 MiB in all (kubernetes pkg/apis/core/types.go MaxSecretSize)."""


def code_digest(path: str, text: str) -> str:
    """A digest of what a file does: without comments, docstrings and layout, where it is Python."""
    if not path.endswith(".py"):
        return digest(text.encode())
    return digest("\n".join(_shape(ast.parse(text))).encode())


def _shape(node: object) -> Iterator[str]:
    """The tree of a program in words that every release of Python has for it."""
    if isinstance(node, ast.AST):
        yield f"({type(node).__name__}"
        for name, value in ast.iter_fields(node):
            items = [item for item in value if not is_text(item)] if isinstance(value, list) else value
            if items not in (None, []) and name not in ("ctx", "kind", "type_comment"):
                yield name
                yield from _shape(items)
        yield ")"
    elif isinstance(node, list):
        for item in node:
            yield from _shape(item)
    else:
        yield repr(node)


def contents() -> str:
    """The text of the list, one file per line."""
    programs = []
    for program, place in PLACES.items():
        paths = sorted(path for path in place.rglob("*") if path.is_file() and _belongs(program, path, place))
        texts = {path.relative_to(place).as_posix(): path.read_text(encoding="utf-8") for path in paths}
        assert len({key_of(path) for path in texts}) == len(texts), f"two files of {program} have one key"
        assert sum(len(text.encode()) for text in texts.values()) < MOST_BYTES, f"{program} does not fit a ConfigMap"
        lines = (f"    {json.dumps(path)}: {json.dumps(_entry(path, text))}" for path, text in texts.items())
        programs.append(f"  {json.dumps(program)}: {{\n" + ",\n".join(lines) + "\n  }")
    return "{\n" + ",\n".join(programs) + "\n}\n"


def _entry(path: str, text: str) -> tuple[str, str, str]:
    raw, code = text.encode(), code_digest(path, text)
    prose = " ".join(map(str, prose_runs(raw))) if path.endswith(".py") else ""
    shipped = without_prose(raw, prose).decode()
    assert code_digest(path, shipped) == code, f"{path} does something else without its comments and docstrings"
    return digest(raw), code, prose


def _belongs(program: str, path: Path, place: Path) -> bool:
    if program == LAUNCHER:
        return path.name == "launch.py"
    steps = path.relative_to(place).parts
    return not any(step in IGNORED or step.startswith(".") for step in steps)


if __name__ == "__main__":
    CONTENTS.write_text(contents(), encoding="utf-8")
