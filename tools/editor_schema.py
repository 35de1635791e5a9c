"""Brings schema/ up to date: `python -m tools.editor_schema`."""

from __future__ import annotations

from pathlib import Path

from stormc.model.editor_schema import schemas
from stormc.repository.profiles import builtin_names

ROOT = Path(__file__).parents[1]


def committed() -> dict[str, str]:
    """The committed files of schema/ by name."""
    return schemas(builtin_names())


def write() -> None:
    """Writes all of them."""
    for name, text in committed().items():
        (ROOT / "schema" / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    write()
