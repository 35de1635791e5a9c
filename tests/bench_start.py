"""What a process costs before it does anything, and what each hand-made thing saves there: CPU time, fresh processes.

`python -m tests.bench_start`. The figures are the least of some runs, in bare starts of the interpreter.
"""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

ROOT = Path(__file__).parent.parent
SPEC = "specs/a3/my-test.yaml"
STORMC = [str(Path(sys.executable).with_name("stormc"))]
CACHED = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
FIELDS = "".join(f"    field{number}: int\n" for number in range(8))
CLASSES = "".join(f"{{decorator}}class C{number}({{base}}):\n{FIELDS}" for number in range(35))


def classes(imports: str, base: str, decorator: str = "") -> str:
    """A program that makes 35 classes of eight fields."""
    head = f"from __future__ import annotations\n{imports}\n"
    return head + CLASSES.format(base=base, decorator=f"{decorator}\n" if decorator else "")


PAIRS = {
    "frozen records against dataclasses": (
        classes("from stormc.record import Record", "Record"),
        classes("from dataclasses import dataclass", "object", "@dataclass(frozen=True)"),
    ),
    "named tuples against typing's": (
        classes("from stormc.record import NamedTuple", "NamedTuple"),
        classes("from typing import NamedTuple", "NamedTuple"),
    ),
    "libyaml alone against PyYAML": ("import stormc.load.libyaml", "from yaml import CParser"),
    "jsonschema-rs without email": (
        "import stormc.emit.rust_schemas",
        "import jsonschema_rs",
    ),
    "tables as closures against Cerberus": (
        "from stormc.model.accept import acceptor\nfrom stormc.model.tables import TABLES\nacceptor(TABLES['app'])",
        "from stormc.model.validator import validator\nvalidator('app')",
    ),
}
COMMANDS = {
    "stormc --help": ["--help"],
    "stormc validate, one spec": ["validate", SPEC],
    "stormc explain, one app": ["explain", "my-test"],
    "the hook: stormc render --check --staged, one spec": ["render", "--check", "--staged", SPEC],
}


def cpu(command: list[str], cached: bool = True, times: int = 12, where: Path = ROOT) -> float:
    """The least CPU seconds of a process and its children."""
    environment = CACHED if cached else {**CACHED, "PYTHONDONTWRITEBYTECODE": "1"}
    if not cached:  # as in a container image whose packages were copied without their compiled files
        for directory in (ROOT / "compiler").rglob("__pycache__"):
            shutil.rmtree(directory)
    return min(_once(command, environment, where) for _ in range(times))


def _once(command: list[str], environment: dict[str, str], where: Path) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(
        command, cwd=where, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def thousand_apps(root: Path) -> None:
    """A repository of 1,000 committed apps, one of which has another number of instances in the work tree."""
    text = (ROOT / SPEC).read_text(encoding="utf-8")
    for number in range(1000):
        spec = root / f"specs/team-{number % 10}/app-{number}.yaml"
        spec.parent.mkdir(parents=True, exist_ok=True)
        spec.write_text(text.replace("my-test", f"app-{number}"), encoding="utf-8")
    for words in (["init", "-q", "-b", "main"], ["add", "-A"], ["commit", "-qm", "apps"]):
        subprocess.run(["git", "-c", "user.name=x", "-c", "user.email=x@example.com", *words], cwd=root, check=True)
    with spec.open("a", encoding="utf-8") as file:
        file.write("routing: {replicas: 2}\n")


def main() -> None:
    """Prints the table."""
    bare = cpu([sys.executable, "-c", "pass"])
    print(f"{'a bare start of Python':52}{bare * 1000:7.1f} ms")
    for name, arguments in COMMANDS.items():
        for cached in (False, True):
            seconds = cpu([*STORMC, *arguments], cached, 12 if cached else 4)
            label = name if cached else "    without compiled files"
            print(f"{label:52}{seconds * 1000:7.1f} ms {seconds / bare:6.1f} bare starts")
    with TemporaryDirectory() as directory:
        thousand_apps(Path(directory))
        seconds = cpu([*STORMC, "diff"], times=6, where=Path(directory))
        one = cpu([*STORMC, "validate", SPEC], times=6)
        print(f"{'stormc diff, one changed of 1,000 apps':52}{seconds * 1000:7.1f} ms {seconds / one:6.1f} × validate")
    for name, programs in PAIRS.items():
        ours, theirs = (cpu([sys.executable, "-c", program]) - bare for program in programs)
        print(f"{name:52}{ours * 1000:7.1f} ms against {theirs * 1000:.1f}")


if __name__ == "__main__":
    main()
