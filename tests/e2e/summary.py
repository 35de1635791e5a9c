"""The end of `make e2e`: versions, tests and seconds of every file, figures, and what did not run and why.

`make e2e RECORD=1` writes it into docs/e2e.md, between the two marks there.
"""

from __future__ import annotations

import mmap
import re
import resource
import shutil
import subprocess
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol

from tests.caches import PROGRAMS

PAGE = Path(__file__).parents[2] / "docs/e2e.md"
START, END = "<!-- written by make e2e RECORD=1 -->", "<!-- until here -->"
DISTRIBUTION = {"etcd": r"etcd Version: (\S+)", "redis-server": r"v=(\S+)", "git": r"git version (\S+)"}
"""Programs of the distribution, and how they tell their version."""
BUILD_INFORMATION = b"\xff Go buildinf:"


class Measured(Protocol):
    """Where something was measured."""

    @property
    def label(self) -> str:
        """The release."""


class Summary:
    """What a run of the tests came to, file by file."""

    def __init__(self) -> None:
        self.seconds: Counter[str] = Counter()
        self.outcomes: dict[str, Counter[str]] = {}
        self.figures: list[str] = []
        self.missing: dict[str, str] = {}
        self.processor_minutes = 0.0
        self._start = time.monotonic()

    def test(self, file: str, seconds: float, outcome: str) -> None:
        """Notes a phase of a test; `outcome` is empty where the phase decides nothing."""
        self.seconds[file] += seconds  # type: ignore[assignment]  # typeshed: a Counter counts in integers
        if outcome:
            self.outcomes.setdefault(file, Counter())[outcome] += 1

    def measured(self) -> dict[str, Any]:
        """What a worker knows and the process that started it does not."""
        return {"figures": self.figures, "missing": self.missing, "minutes": processor_minutes()}

    def add(self, told: Mapping[str, Any]) -> None:
        """Takes in what a worker measured."""
        self.figures += told.get("figures", ())
        self.missing |= told.get("missing", {})
        self.processor_minutes += told.get("minutes", 0.0)

    def lines(self) -> Iterator[str]:
        """The summary as Markdown."""
        seconds, used = time.monotonic() - self._start, self.processor_minutes or processor_minutes()
        yield f"Programs: {', '.join(f'{name} {version}' for name, version in versions())}."
        yield ""
        yield "| Tests | Passed | Failed | Skipped | Seconds |"
        yield "|---|---|---|---|---|"
        for file, outcomes in sorted(self.outcomes.items()):
            counts = " | ".join(str(outcomes[outcome]) for outcome in ("passed", "failed", "skipped"))
            yield f"| `{file.removeprefix('tests/e2e/')}` | {counts} | {self.seconds[file]:.0f} |"
        total: Counter[str] = sum(self.outcomes.values(), Counter())
        yield f"| all | {total['passed']} | {total['failed']} | {total['skipped']} | {seconds:.0f} |"
        yield ""
        yield from (f"- {figure}" for figure in self.figures)
        yield f"- {seconds / 60:.0f} minutes; tests and programs used {used:.0f} minutes of a core"
        yield from (f"- not run: `{file}`: {why}" for file, why in sorted(self.missing.items()))
        if not self.missing:
            yield "- not run: nothing"


RUN = Summary()


def record(release: Measured, what: str, figure: str) -> None:
    """Notes a figure for the summary."""
    RUN.figures.append(f"AIBrix {release.label}: {what}: {figure}")


def processor_minutes() -> float:
    """The time that this process and those it has waited for have used."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in used) / 60


def versions() -> Iterator[tuple[str, str]]:
    """The programs and their versions, as these tell them."""
    for name, pattern in DISTRIBUTION.items():
        if program := shutil.which(name):
            told = subprocess.run([program, "--version"], capture_output=True, text=True, check=True).stdout
            if found := re.search(pattern, told):
                yield name, found[1]
    for path in sorted(PROGRAMS.glob("*")):
        if path.is_file() and path.suffix != ".yaml":
            yield re.sub(r"-v[\d.]+$", "", path.name), built_from(path)


def built_from(program: Path) -> str:
    """The version of the module that a Go program is made of, from its build information; empty where it has none.

    A mark, its layout and two texts with their lengths before them: Go's version, and the modules (debug/buildinfo).
    """
    with program.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        start = content.find(BUILD_INFORMATION)
        told = content[start : start + 2**16] if start >= 0 else b""
    package = re.search(rb"path\t(\S+)\n", told)
    modules = re.findall(rb"(?:mod|dep)\t([\w./-]+)\t(v[\w.+-]+)", told)
    owners = [(name, version) for name, version in modules if package and (package[1] + b"/").startswith(name + b"/")]
    return max(owners, default=(b"", b""))[1].decode()


def write(lines: list[str]) -> None:
    """Puts the summary between the marks of docs/e2e.md."""
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(START)
    _, _, after = rest.partition(END)
    PAGE.write_text("\n".join([f"{before}{START}", "", *lines, "", f"{END}{after}"]), encoding="utf-8")
