"""Digests by which contents are compared; nothing here is about secrets."""

from __future__ import annotations

try:
    # hashlib would load OpenSSL for it, which takes as long as starting the interpreter.
    from _blake2 import blake2b
except ImportError:  # an interpreter without CPython's modules
    from hashlib import blake2b


def digest(*parts: bytes) -> str:
    """32 hexadecimal digits for a sequence of parts; other parts, or the same bytes cut elsewhere, give others."""
    if len(parts) == 1:
        return blake2b(parts[0], digest_size=16).hexdigest()
    total = blake2b(digest_size=16)
    for part in parts:
        total.update(b"%d\0" % len(part) + part)
    return total.hexdigest()
