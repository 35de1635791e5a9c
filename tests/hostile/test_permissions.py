"""What may not be read or written: one line that names it, nothing half written, and all well once it may."""

from __future__ import annotations

from pathlib import Path

import pytest

from stormc.__main__ import main
from tests.rights import nobody
from tests.samples import BASE

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository as stormc formats and renders it."""
    top = tmp_path
    (top / "specs").mkdir()
    (top / "specs/app.yaml").write_text(BASE)
    monkeypatch.chdir(top)
    monkeypatch.setenv("XDG_CACHE_HOME", str(top / "cache"))
    assert main(["fmt"]) == main(["render"]) == 0
    return top


def state(top: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for part in ("specs", "rendered") for path in (top / part).rglob("*.yaml")}


APP = "rendered/qwen3-moe"
CASES: dict[str, tuple[str, int, str, int, str]] = {
    "fmt in a locked directory": ("specs", 0o555, "fmt", 2, "stormc: specs/app.yaml: Permission denied"),
    "a new app in a locked directory": (
        "specs", 0o555, "init other --hardware atlas-800i-a3", 2, "stormc: specs/other.yaml: Permission denied"
    ),
    "render into a locked directory": (APP, 0o555, "render", 2, f"stormc: {APP}/"),
    "render into an unreadable directory": (APP, 0, "render", 2, f"stormc: {APP}: Permission denied"),
    "render over an unreadable file": (
        f"{APP}/kustomization.yaml", 0, "render", 1, f"{APP}/kustomization.yaml:1:1: E401 cannot be read"
    ),
    "check of an unreadable file": (
        f"{APP}/kustomization.yaml", 0, "render --check", 1, f"{APP}/kustomization.yaml:1:1: E401 cannot be read"
    ),
    "unreadable specs": ("specs", 0, "validate", 1, "specs:1:1: E101 directory cannot be read: Permission denied"),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_what_is_locked_is_named_and_nothing_is_half_written(repository: Path, capsys: Capture, case: str) -> None:
    locked, mode, command, code, line = CASES[case]
    spec = repository / "specs/app.yaml"
    spec.write_text(spec.read_text().replace("name: qwen3-moe\n", "name:   qwen3-moe\nport: 8100\n", 1))
    before = state(repository)
    (repository / locked).chmod(mode)
    capsys.readouterr()
    with nobody():
        assert main(command.split()) == code
    said = "".join(capsys.readouterr())
    assert any(each.startswith(line) for each in said.splitlines()), said
    (repository / locked).chmod(0o755)
    assert state(repository) == before
    assert not [path for path in repository.rglob(".*") if "staging" in path.name or "app.yaml" in path.name]
    assert main(["fmt"]) == main(["render"]) == main(["render", "--check"]) == 0
