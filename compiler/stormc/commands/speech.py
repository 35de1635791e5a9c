"""What commands print for people, in the language that STORMC_LANG names."""

from __future__ import annotations

import os
import sys

from stormc.languages import language_of, translate


def translated(sentence: str) -> str:
    """A phrase in the language of the environment; any other text as it is."""
    return translate(sentence, language_of(os.environ))


def say(sentence: str, *, error: bool = False) -> None:
    """Prints a sentence as a line of standard output, or of standard error."""
    print(translated(sentence), file=sys.stderr if error else sys.stdout)
