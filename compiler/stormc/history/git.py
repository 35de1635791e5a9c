"""Git, called as a program, with what keeps a branch from running anything (settings.py).

Loading a library for it takes longer than checking a spec, and stormc asks for few things. What Git reads and prints
goes through memory, so that neither waits for the other.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from stormc.failure import Failure
from stormc.history.settings import SAFE, VARIABLES, top_of
from stormc.phrase import phrase
from stormc.record import NamedTuple


class Refused(Failure):
    """Git ended with an error; `reason` is the first line of what it says of it."""

    def __init__(self, command: str, reason: str) -> None:
        super().__init__(phrase("git {command}: {reason}", command=command, reason=reason))
        self.reason = reason


class Git(NamedTuple):
    """Git in the work tree with this top."""

    top: Path

    def run(self, *arguments: str, given: bytes = b"") -> bytes:
        """What Git prints; `given` is what it reads. Raises Refused, and Failure where there is no Git."""
        settings = [part for setting in SAFE for part in ("-c", setting)]
        command = ["git", "-C", str(self.top), *settings, *arguments]
        # No other repository above is meant where `.git` turns out to be none.
        environment = {**os.environ, **VARIABLES, "GIT_CEILING_DIRECTORIES": str(self.top.parent)}
        with ExitStack() as stack:
            reads, prints, complains = (stack.enter_context(_in_memory(content)) for content in (given, b"", b""))
            actions = [(os.POSIX_SPAWN_DUP2, file, number) for number, file in enumerate((reads, prints, complains))]
            try:
                child = os.posix_spawnp("git", command, environment, file_actions=actions)
            except OSError:
                raise Failure(phrase("git is not on the PATH")) from None
            if os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]):
                name = next(word for word in arguments if not word.startswith("-"))
                first_line = os.fsdecode(_content(complains)).strip().split("\n")[0]
                raise Refused(name, first_line)
            return _content(prints)

    def text(self, *arguments: str) -> str:
        """As `run`, as text without the line feed at its end."""
        return os.fsdecode(self.run(*arguments)).removesuffix("\n")

    def paths(self, *arguments: str) -> frozenset[str]:
        """As `run`, for what prints paths that end with NUL."""
        return frozenset(filter(None, os.fsdecode(self.run(*arguments)).split("\0")))


@contextmanager
def _in_memory(content: bytes) -> Iterator[int]:
    """The descriptor of a file in memory that is read from its beginning."""
    descriptor = os.memfd_create("git")
    try:
        while content:
            content = content[os.write(descriptor, content) :]
        os.lseek(descriptor, 0, os.SEEK_SET)
        yield descriptor
    finally:
        os.close(descriptor)


def _content(descriptor: int) -> bytes:
    size = os.fstat(descriptor).st_size
    content = b""
    while len(content) < size:  # one call of the system reads at most 2 GB
        content += os.pread(descriptor, size - len(content), len(content))
    return content


def git_of(directory: Path) -> Git:
    """Git in the work tree around a directory. Raises Failure outside of one."""
    top = top_of(directory)
    if top is None:
        raise Failure(phrase("{directory} is in no Git repository", directory=directory))
    return Git(top)
