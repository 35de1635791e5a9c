"""Puts a new text in the place of a file that people maintain."""

from __future__ import annotations

import os
from pathlib import Path


def rewrite(file: Path, text: str) -> None:
    """Replaces the file's content by rename, so that a reader sees the old or the new one; its mode stays."""
    file = Path(os.path.realpath(file))
    temporary = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        temporary.write_bytes(text.encode())
        if file.exists():
            temporary.chmod(file.stat().st_mode & 0o7777)
        temporary.replace(file)
    finally:
        temporary.unlink(missing_ok=True)
