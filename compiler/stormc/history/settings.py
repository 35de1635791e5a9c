"""Git, as stormc calls it: nothing of the branch runs, and nothing of the branch is taken for Git's own files."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

SAFE = (
    # Five files of a branch (HEAD, config, objects/, refs/ …) make a bare repository, whose config names commands.
    "safe.bareRepository=explicit",
    "core.fsmonitor=false",
    f"core.hooksPath={os.devnull}",
    "core.quotePath=false",
)
"""Settings on every command line, which no config file of a repository overrides (git-config(1), "protected")."""

VARIABLES: Mapping[str, str] = {"GIT_OPTIONAL_LOCKS": "0", "GIT_TERMINAL_PROMPT": "0", "GIT_PAGER": "cat"}
"""What every call has in its environment."""


def top_of(directory: Path) -> Path | None:
    """The top of the work tree that a directory lies in, None outside of one and for what is no directory.

    It is the nearest directory above with an entry `.git`, which no commit can hold.
    """
    real = Path(os.path.realpath(directory))
    if not real.is_dir():
        return None
    return next((path for path in (real, *real.parents) if os.path.lexists(path / ".git")), None)
