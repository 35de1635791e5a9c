"""Who may use the API: keys of clients, kept as digests, so that comparing them tells nothing."""

from __future__ import annotations

import hashlib
import hmac
from pathlib import Path

from stormc_proxy.http.request import RequestHead


class InboundKeys:
    """The keys of a file and of the environment; without any, everybody is served."""

    def __init__(self, file: str, listed: str) -> None:
        """`file` has one key a line, `listed` commas between them. Raises OSError when the file cannot be read."""
        self._file = Path(file) if file else None
        self._listed = frozenset(_digest(key) for key in map(str.strip, listed.split(",")) if key)
        self.needed = self._file is not None or bool(self._listed)
        """Whether a client needs one."""
        self._read: frozenset[bytes] = frozenset()
        self._version: tuple[int, int] | None = None
        self.refresh()

    def refresh(self) -> bool:
        """Read the file if it has changed; whether it had. Raises OSError."""
        if self._file is None:
            return False
        stat = self._file.stat()
        version = (stat.st_ino, stat.st_mtime_ns)
        if version == self._version:
            return False
        lines = self._file.read_text(encoding="utf-8").splitlines()
        self._read = frozenset(_digest(line.strip()) for line in lines if line.strip())
        self._version = version
        return True

    def allows(self, head: RequestHead) -> bool:
        """Whether a request shows a key, as OpenAI's clients do or as Anthropic's."""
        if not self.needed:
            return True
        shown_key = _digest(_bearer(head) or head.get(b"x-api-key"))
        return shown_key in self._read or shown_key in self._listed


def is_admin(head: RequestHead, token: str) -> bool:
    """Whether a request shows the token of the administration."""
    return hmac.compare_digest(_bearer(head).encode("utf-8", "replace"), token.encode())


def _bearer(head: RequestHead) -> str:
    kind, _, key = head.get(b"authorization").partition(" ")
    return key.strip() if kind.lower() == "bearer" else ""


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode("latin-1", "replace")).digest()
