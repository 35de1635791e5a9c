"""The one exception that means: this command cannot go on. Caught in one place, printed as one line, exit code 2."""

from __future__ import annotations

from stormc.phrase import Phrase


class Failure(Exception):
    """Cannot continue; the message says why, for people, in the language that they read."""

    def __init__(self, message: Phrase) -> None:
        super().__init__(str(message))
        self.message = message
