"""Ids and secrets from the system's randomness."""

from __future__ import annotations

import os
import re

DRAWN_BYTES = 4096
"""Randomness that is asked for at a time."""


class Randomness:
    """The system's randomness as texts, made of many bytes at a time; a forked process makes its own."""

    def __init__(self, digits: str, form: str) -> None:
        """`digits` is a pattern for 32 hexadecimal digits, `form` makes one text of its groups."""
        self._find, self._form = re.compile(digits).findall, form
        self._texts: list[str] = []
        os.register_at_fork(after_in_child=self._texts.clear)

    def draw(self) -> str:
        """A text that nobody has got before."""
        if not self._texts:
            form = self._form
            self._texts += [form % digits for digits in self._find(os.urandom(DRAWN_BYTES).hex())]
        return self._texts.pop()


new_secret = Randomness(".{32}", "%s").draw
"""A secret for one attempt at one decode instance, which alone gets to know it: 128 random bits."""

new_id = Randomness("(.{8})(.{4}).(.{3}).(.{3})(.{12})", "%s-%s-4%s-a%s-%s").draw
"""A random UUID from the system's randomness: who knows one id, or a thousand, knows nothing of the next."""
