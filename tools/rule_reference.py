"""docs/rules.md and docs/zh/rules.md, written from the rules. `make golden` does it; a test fails when one is stale."""

from __future__ import annotations

from pathlib import Path

from stormc.reference.pages import document

DOCUMENTS = {"en": Path("docs/rules.md"), "zh": Path("docs/zh/rules.md")}
"""The page of each language."""

if __name__ == "__main__":
    for language, path in DOCUMENTS.items():
        path.write_text(document(language), encoding="utf-8")
