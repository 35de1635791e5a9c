"""What an import has to say of a place in the file that it reads."""

from __future__ import annotations

from typing import NamedTuple

from stormc.finding import Path

FOREIGN, LACKING = "E601", "E602"
MISSPELT, REPEATED, LEFT_OUT, ASSUMED, ALONE = "W603", "W604", "W605", "I606", "I607"


class Note(NamedTuple):
    """One sentence about a path of a document; the position is looked up by the caller."""

    rule: str
    path: Path
    message: str
    hint: str = ""
    at_key: bool = False
