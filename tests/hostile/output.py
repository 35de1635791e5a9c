"""What a terminal or the runner of a workflow would obey."""

from __future__ import annotations

import re

from tests.hostile.branch import Done


def obeyed(output: str) -> list[str]:
    """The lines that a terminal or a runner would obey; written from actions/runner's ActionCommand.cs.

    Its process invoker ends a line at CR, too; str.splitlines ends it at even more characters.
    """
    controls = [line for line in output.split("\n") if not line.replace("\t", "").isprintable()]
    return controls + [line for line in output.splitlines() if line.lstrip().startswith("::") or "##[" in line]


def own(done: Done) -> str:
    """The output without the annotations that the github format is for."""
    return (
        re.sub(r"(?m)^::(?:error|warning|notice) (?:file=[^:\n]*,line=[0-9]+,[^:\n]*|title=stormc)::", "", done.out)
        + done.err
    )
