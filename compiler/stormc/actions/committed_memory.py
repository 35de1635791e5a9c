"""Whether Git tracks the memory of a render, which stormc up to 0.1 kept in the work tree and believed."""

from __future__ import annotations

import os
from pathlib import Path

from stormc.finding import START, Finding
from stormc.phrase import phrase
from stormc.tree.checks import COMMITTED_MEMORY

OLD_MEMORY = ".stormc_cache"


def check_committed_memory(*directories: Path) -> list[Finding]:
    """E402 for each of the directories in which Git tracks `.stormc_cache`. One that Git does not track is harmless."""
    places = sorted({directory / OLD_MEMORY for directory in directories})
    places = [place for place in places if os.path.lexists(place)]
    if not places:
        return []
    from stormc.history.index import is_tracked

    return [
        Finding(COMMITTED_MEMORY, str(place), START, phrase("the memory of a render is committed"),
                phrase("git rm -r --cached {old_memory}, and delete it", old_memory=OLD_MEMORY))
        for place in places if is_tracked(place)
    ]  # fmt: skip
