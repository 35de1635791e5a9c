"""docs/rules.md, written from the rules. `make golden` does it; a test fails when it is stale."""

from __future__ import annotations

from pathlib import Path

from stormc.reference.pages import document

DOCUMENT = Path("docs/rules.md")

if __name__ == "__main__":
    DOCUMENT.write_text(document(), encoding="utf-8")
