"""What a check of rendered files looks at again, and what it leaves as it was when they were written."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.samples import spec_text

CHECK = """
import sys
from stormc.__main__ import main
code = main(["render", "--check"])
print(code, "jsonschema_rs" in sys.modules)
"""
OVERRIDE = "overrides: [{{target: Service/a-router, patch: {{spec: {{{0}}}}}, reason: a test, owner: x}}]"


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository that remembers nothing."""
    monkeypatch.setenv("XDG_CACHE_HOME", "/dev/null")
    (tmp_path / "specs").mkdir()
    return tmp_path


def written(root: Path, fields: str) -> None:
    (root / "specs/a.yaml").write_text(spec_text(f"{{name: a, {fields}}}"))


def run(root: Path, *command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, *command], cwd=root, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    ("rendered", "checked", "code", "judged"),
    [
        ("port: 8000", "port: 8000", 0, False),
        ("port: 8000", "port: 9000", 1, True),
        (OVERRIDE.format("sessionAffinity: ClientIP"), OVERRIDE.format("sessionAffinity: ClientIP"), 0, True),
        ("port: 8000", OVERRIDE.format("sessionAffinity: 5"), 1, True),
    ],
)
def test_schemas_judge_what_is_not_on_disk_and_what_has_overrides(
    root: Path, rendered: str, checked: str, code: int, judged: bool
) -> None:
    written(root, rendered)
    assert run(root, "-m", "stormc", "render").returncode == 0
    written(root, checked)
    done = run(root, "-c", CHECK)
    assert done.stdout.splitlines()[-1] == f"{code} {judged}"
    assert ("E501" in done.stderr) == ("5" in checked.partition("Affinity")[2])
