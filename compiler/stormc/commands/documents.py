"""How commands print YAML and JSON for programs: values stay the same, and no terminal or log obeys them."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from stormc.report.escape import escaped, escaped_json, raw


def print_documents(texts: Sequence[str]) -> None:
    """Prints YAML documents to standard output; one that holds commands is printed as JSON, which is YAML, too."""
    print("---\n".join(map(_safe, texts)), end="", file=raw(sys.stdout))


def print_json(text: str) -> None:
    """Prints a JSON document in ASCII to standard output, with another spelling of what a log would obey."""
    print(escaped_json(text), end="", file=raw(sys.stdout))


def _safe(text: str) -> str:
    if escaped(text) == text:
        return text
    import json

    from stormc.load.document import load_document

    document, _ = load_document("", text.encode())
    return escaped_json(json.dumps(document.data)) + "\n" if document else escaped(text)
