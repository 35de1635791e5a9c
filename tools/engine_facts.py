"""Writes compiler/stormc/facts/engines/*.json: what each vllm-ascend release line understands.

    python -m tools.engine_facts [--sources DIR]

Flags, variables and KV connectors are read from the source distributions of vllm and vllm-ascend, which pip downloads
into DIR unless they are there; nothing of them is imported or built. What no source file lists in a form that a
program can read (protocols, removed variables, refusals) stands in tools/engine_facts.yaml, each with its source.
"""

from __future__ import annotations

import argparse
import ast
import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from tools.vllm_flags import serve_flags

ROOT = Path(__file__).resolve().parents[1]
TARGET = ROOT / "compiler/stormc/facts/engines"
WRITTEN = Path(__file__).with_suffix(".yaml")


class Release(NamedTuple):
    """A release line: the newest vllm-ascend of it that the index serves, and the vLLM that it carries."""

    ascend: str
    vllm: str


RELEASES = {
    "0.11": Release("0.11.0", "0.11.0"),
    "0.12": Release("0.12.0rc1", "0.12.0"),
    "0.13": Release("0.13.0", "0.13.0"),
    "0.18": Release("0.18.0", "0.18.0"),
    "0.20": Release("0.20.2rc1", "0.20.2"),
    "0.21": Release("0.21.0rc1", "0.21.0"),
    "0.23": Release("0.23.0", "0.23.0"),
    "0.26": Release("0.26.0rc1", "0.26.0"),
    "0.30": Release("0.30.0rc2", "0.30.0"),
}


def source_of(package: str, version: str, sources: Path) -> Path:
    """The unpacked source distribution, downloaded by pip unless it is there.

    pip asks a source distribution for its metadata after unpacking it, which fails without torch; what it unpacked
    stays because of --no-clean, and is all that is needed.
    """
    folder = sources / f"{package}=={version}"
    if not list(folder.glob("*/*/pyproject.toml")):
        folder.mkdir(parents=True, exist_ok=True)
        words = ["download", "--quiet", "--no-clean", "--no-build-isolation", "--no-deps", "--no-binary", ":all:"]
        subprocess.run(
            [sys.executable, "-m", "pip", *words, "--dest", str(folder / "none"), f"{package}=={version}"],
            env={"PATH": "/usr/bin:/bin", "TMPDIR": str(folder)}, check=False, capture_output=True,
        )  # fmt: skip
    unpacked = [path.parent for path in folder.glob("*/*/pyproject.toml")]
    if len(unpacked) != 1:
        raise SystemExit(f"{package}=={version}: pip left {len(unpacked)} source trees in {folder}")
    return unpacked[0]


def connectors(vllm: Path, ascend: Path) -> list[str]:
    """The names that both register for --kv-transfer-config, sorted."""
    names: set[str] = set()
    for file in (
        vllm / "vllm/distributed/kv_transfer/kv_connector/factory.py",
        *sorted((ascend / "vllm_ascend/distributed").rglob("__init__.py")),
    ):
        for call in _calls(ast.parse(file.read_text()), "register_connector"):
            if call.args and isinstance(call.args[0], ast.Constant):
                names.add(str(call.args[0].value))
    return sorted(names)


def variables(vllm: Path, ascend: Path) -> list[str]:
    """Every VLLM_… variable that the sources read or list, sorted."""
    names: set[str] = set()
    for file in (vllm / "vllm/envs.py", ascend / "vllm_ascend/envs.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Dict):
                names |= {
                    key.value for key in node.keys if isinstance(key, ast.Constant) and isinstance(key.value, str)
                }
    for file in (ascend / "vllm_ascend").rglob("*.py"):
        names |= set(
            re.findall(r"(?:getenv|environ(?:\.get|\.setdefault)?)[(\[]\s*\"(VLLM_[A-Z0-9_]+)\"", file.read_text())
        )
    return sorted(name for name in names if name.startswith("VLLM_"))


def _calls(tree: ast.AST, name: str) -> Iterator[ast.Call]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == name:
            yield node


def located(entry: dict[str, str], roots: dict[str, Path]) -> str:
    """File and line of the first place in the sources that matches an entry of the written table, or ""."""
    root = roots[entry["package"]]
    for file in sorted(root.glob(entry["files"])):
        lines = file.read_text().splitlines()
        for number in range(len(lines)):
            if re.search(entry["text"], _joined(lines[number : number + 4])):
                while re.search(entry["text"], _joined(lines[number + 1 : number + 5])):
                    number += 1
                return f"{entry['package']} {file.relative_to(root)}:{number + 1}"
    return ""


def _joined(lines: list[str]) -> str:
    """A few lines of source as one, with the texts that they split put together again."""
    return re.sub(r"[\"']\s*\n\s*f?[\"']", "", "\n".join(lines))


def facts_of(line: str, sources: Path, written: dict[str, Any]) -> dict[str, Any]:
    """Everything that is known about a release line, but for what other lines tell of it."""
    release = RELEASES[line]
    vllm, ascend = source_of("vllm", release.vllm, sources), source_of("vllm-ascend", release.ascend, sources)
    flags, short = serve_flags(vllm)
    if "quantization" in flags:
        flags["quantization"] = "text"  # vllm_ascend/platform.py adds its own to the choices
    roots = {"vllm": vllm, "vllm-ascend": ascend}
    places = {
        table: {key: place for key, entry in written[table].items() if (place := located(entry, roots))}
        for table in ("refuses", "does")
    }
    return {
        "release": line,
        "vllmAscend": release.ascend,
        "vllm": release.vllm,
        "recommended": written["recommended"][line],
        "directPorts": written["directPorts"][line],
        "connectors": {name: written["protocols"].get(name, "") for name in connectors(vllm, ascend)},
        **places,
        "short": short,
        "flags": flags,
        "env": variables(vllm, ascend),
    }


def add_removed(known: dict[str, dict[str, Any]], written: dict[str, Any]) -> None:
    """Adds to each line what older lines had and it has not, with the last line that had it."""
    last: dict[str, dict[str, str]] = {"flags": {}, "env": {}}
    for line, facts in known.items():
        for table, seen in last.items():
            facts[f"removed{table.title()}"] = {
                name: old for name, old in sorted(seen.items()) if name not in facts[table]
            }
            seen.update(dict.fromkeys(facts[table], line))
        facts["renamedEnv"] = written["renamed"]


def main() -> int:
    """Writes the facts of every release line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--sources", type=Path, metavar="DIR", help="where source distributions are kept")
    options = parser.parse_args()
    written = yaml.safe_load(WRITTEN.read_text())
    with tempfile.TemporaryDirectory() as scratch:
        facts_by_line = {line: facts_of(line, options.sources or Path(scratch), written) for line in RELEASES}
    add_removed(facts_by_line, written)
    TARGET.mkdir(exist_ok=True)
    for line, facts in facts_by_line.items():
        (TARGET / f"{line}.json").write_text(laid_out(facts))
        print(f"{line}: {len(facts['flags'])} flags, {len(facts['env'])} variables, vLLM {facts['vllm']}")
    return 0


def laid_out(facts: dict[str, Any]) -> str:
    """JSON with one entry of every table on a line, so that a diff of two releases can be read."""
    parts = []
    for key, value in facts.items():
        if isinstance(value, dict):
            rows = ",\n".join(f"  {json.dumps(k)}: {json.dumps(v)}" for k, v in value.items())
            parts.append(f" {json.dumps(key)}: {{\n{rows}\n }}" if value else f" {json.dumps(key)}: {{}}")
        elif isinstance(value, list):
            parts.append(f" {json.dumps(key)}: [\n" + ",\n".join(f"  {json.dumps(v)}" for v in value) + "\n ]")
        else:
            parts.append(f" {json.dumps(key)}: {json.dumps(value)}")
    return "{\n" + ",\n".join(parts) + "\n}\n"


if __name__ == "__main__":
    sys.exit(main())
