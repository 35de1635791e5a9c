"""jsonnet with a validator beside stormc: `python -m tests.bench_jsonnet APP COUNT`, what `tests.bench` measures.

The library is the least that a team could write: it fills name, namespace and port into the finished manifests of one
app, of which APP is the rendered directory, and computes nothing. Each manifest is written as YAML by PyYAML's C
emitter and judged by jsonschema-rs under the schemas that stormc ships. jsonnet comes from a package index
(`pip install jsonnet`); where it is not installed, the row is left out.
"""

from __future__ import annotations

import json
import sys
import tempfile
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

SCHEMAS = Path(__file__).parents[1] / "compiler/stormc/emit/schemas"


def is_installed() -> bool:
    """Whether there is something to compare with."""
    return find_spec("_jsonnet") is not None


def expression(value: Any, name: str) -> str:
    """A value as jsonnet: the app's name is a variable wherever it occurs."""
    if isinstance(value, dict):
        fields = (f"[{expression(key, name)}]: {expression(inner, name)}" for key, inner in value.items())
        return "{" + ", ".join(fields) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(expression(inner, name) for inner in value) + "]"
    if isinstance(value, str):
        return "(" + " + name + ".join(json.dumps(text) for text in value.split(name)) + ")"
    return json.dumps(value)


def library(app: Path) -> str:
    """The function from name, namespace and port to the manifests of an app."""
    import yaml

    manifests = [yaml.load(file.read_bytes(), Loader=yaml.CSafeLoader) for file in sorted(app.glob("*.yaml"))]
    named = next(m for m in manifests if m["kind"] == "StormService")["metadata"]["name"]
    merged = "+ (if std.objectHas(m, 'metadata') then {metadata+: {namespace: namespace}} else {})"
    listed = expression(manifests, named)
    return f"function(name, namespace, port) [m {merged} for m in {listed}]"


def work(app: Path, count: int) -> None:
    """Renders and judges so many apps."""
    import jsonschema_rs
    import yaml

    jsonnet = import_module("_jsonnet")
    program = f"({library(app)})"
    judges: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as target:
        for number in range(count):
            name = f"app-{number:05d}"
            text = jsonnet.evaluate_snippet("apps", f'{program}("{name}", "team-{number % 37}", {8000 + number % 500})')
            Path(target, name).mkdir()
            for at, manifest in enumerate(json.loads(text)):
                kind = manifest["kind"].lower()
                if kind not in judges:
                    schema = json.loads((SCHEMAS / f"{kind}.json").read_bytes())
                    judges[kind] = jsonschema_rs.Draft202012Validator(schema)
                if not judges[kind].is_valid(manifest):
                    raise SystemExit(f"{kind} of {name} is not valid")
                with open(f"{target}/{name}/{at}.yaml", "w", encoding="utf-8") as stream:
                    yaml.dump(manifest, stream, Dumper=yaml.CSafeDumper, sort_keys=False, allow_unicode=True)


if __name__ == "__main__":
    work(Path(sys.argv[1]), int(sys.argv[2]))
