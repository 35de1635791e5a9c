"""Puts a new text in the place of a file that people maintain."""

from __future__ import annotations

import os
from pathlib import Path

from stormc.failure import Failure
from stormc.phrase import phrase


def rewrite(file: Path, text: str) -> None:
    """Replaces the file's content by rename, so that a reader sees the old or the new one; its mode stays.

    Raises Failure for a path through a symbolic link, and OSError, with the name of the file, where it cannot be
    written.
    """
    refuse_links(file)
    temporary = file.with_name(f".{file.name}.{os.urandom(8).hex()}")
    try:
        with open(temporary, "xb") as stream:  # x: a new file, never through a link that lies there
            stream.write(text.encode())
        if file.exists():
            temporary.chmod(file.stat().st_mode & 0o7777)
        temporary.replace(file)
    except OSError as error:
        error.filename = error.filename2 = str(file)
        raise
    finally:
        temporary.unlink(missing_ok=True)


def refuse_links(file: Path) -> None:
    """Raises Failure where a symbolic link lies on the way to a file from the top of its work tree, or from here.

    A branch may bring links; following one would write where the branch points to.
    """
    path = Path(os.path.abspath(file))
    here = Path.cwd()
    top = next((above for above in path.parents if os.path.lexists(above / ".git")), None)
    top = top or (here if path.is_relative_to(here) else path.parent)
    way = [path, *(above for above in path.parents if above.is_relative_to(top) and above != top)]
    link = next((part for part in way if part.is_symlink()), None)
    if link is not None:
        shown = f"{file}" if link == path else f"{file}: {os.path.relpath(link)}"
        raise Failure(phrase("{shown} is a symbolic link, and nothing is written through one", shown=shown))
