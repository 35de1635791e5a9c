"""Names of files, directories and apps that are made to be obeyed or mistaken: one tree of them all."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import yaml

from stormc.report import FORMATS
from tests.hostile.branch import honest, stormc, write
from tests.hostile.output import obeyed, own
from tests.samples import spec_text

NAMES = (
    "a\nb", "a\rb", "a\tb", "\x1b[31mred", "\x7f", "\x85::error::x", "a\u202eb", "\u2028::error::x", "\u200b",
    "\ufeffx", "::set-output name=x::y", "::error::x", "##[error]x", "##vso[task.setvariable]x", "x%0A::error::y",
    "-rf", "--out=x", "a" * 240, b"\xff\xfe".decode("utf-8", "surrogateescape"),
    "e\u0301", "\u00e9", "A", "a", "CON", "nul",
    "b.", "b ", "", ".", "...", "~", "#x", "&x", "*x", "!x", "[x]", "{x}", "a:b", "a\\b", "'", '"', "$(id)", "`id`",
    "${PATH}", "a;id", "a|b", "{{x}}", "%s", "名", "\U0001f600",
)  # fmt: skip
WORDS = [
    *(["validate", "--format", each] for each in FORMATS),
    *(["render", "--check", "--format", each] for each in FORMATS),
    ["render", "--diff"], ["render", "--stdout"], ["render"], ["fmt", "--check"], ["fmt"], ["diff", "--base", "HEAD"],
    ["diff", "--base", "HEAD", "--format", "markdown"], ["diff", "--base", "HEAD", "--compiler-base", "--manifests"],
    ["validate", "--changed", "--base", "HEAD"], ["capacity"], ["explain", "a"], ["policy", "export", "--vap"],
]  # fmt: skip


@pytest.fixture(scope="module")
def crowded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A committed repository, and then every name for a spec, a directory of specs and of manifests, and an app."""
    root = honest(tmp_path_factory.mktemp("names"))
    app = yaml.safe_load(spec_text("{name: z, model: {name: z}}"))
    manifest = (root / "rendered/a/stormservice-a.yaml").read_text()
    for number, name in enumerate(NAMES):
        field = ("name", "namespace", "image", "hardware")[number % 4]
        text = name.encode("utf-8", "replace").decode()
        write(root, f"specs/x{number}.yaml", json.dumps({**app, "name": f"x{number}", field: text, text: 1}))
        write(root, f"specs/{name}.yaml", spec_text(f"{{name: y{number}, model: {{name: y{number}}}}}"))
        write(root, f"specs/in{name}/z.yaml", "apiVersion: stormc.dev/v1\nkind: App\nname: [\n")
        write(root, f"rendered/to{name}/stormservice-a.yaml", manifest)
        write(root, f"rendered/a/{name}.yaml", manifest.replace("\n  name: a\n", f"\n  name: {json.dumps(text)}\n"))
    return root


@pytest.mark.parametrize("words", WORDS, ids=" ".join)
def test_no_name_is_obeyed(crowded: Path, words: list[str]) -> None:
    done = stormc(crowded, *words)
    assert done.code in (0, 1, 2) and "internal error" not in done.err, done.err
    assert obeyed(re.sub(r"(?m)^::\w+ title=effect on [^:\n]*::", "", own(done))) == []
    assert (done.out + done.err).isascii() or (done.out + done.err).encode()


ASKED = (
    "explain", "policy show", "rule", "what-if", "deploy", "run-local", "import", "profiles", "status",
    "promote --from . --to b",
)  # fmt: skip


@pytest.mark.parametrize("verb", ASKED)
def test_a_name_as_a_word_is_not_obeyed(crowded: Path, verb: str) -> None:
    for name in filter(None, NAMES[ASKED.index(verb) % 3 :: 3]):
        done = stormc(crowded, *verb.split(), "--", name, KUBECONFIG="/nowhere")
        assert done.code in (0, 1, 2) and "internal error" not in done.err, (name, done.err)
        assert obeyed(own(done)) == [], name
