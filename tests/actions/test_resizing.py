"""validate --changed: another podGroupSize, by AIBrix release, at the field of the spec."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from stormc.__main__ import main
from tests.samples import spec_text

SINGLE, PAIR, FOUR = (f"decode: {{podGroupSize: {size}, dataParallel: {16 * size}}}" for size in (1, 2, 4))


def git(*words: str) -> None:
    subprocess.run(["git", "-c", "user.name=a", "-c", "user.email=a@b", *words], check=True, capture_output=True)


@pytest.mark.parametrize(
    ("release", "before", "after", "rule", "code"),
    [
        ("v0.5.0", PAIR, SINGLE, "E086", 1), ("v0.6.0", PAIR, SINGLE, "E086", 1), ("v0.7.0", PAIR, SINGLE, "I085", 0),
        ("v0.5.0", SINGLE, PAIR, "W084", 0), ("v0.6.0", SINGLE, PAIR, "W084", 0), ("v0.7.0", SINGLE, PAIR, "I085", 0),
        ("v0.5.0", PAIR, FOUR, "I085", 0), ("v0.7.0", FOUR, PAIR, "I085", 0),
    ],
)  # fmt: skip
def test_another_size_of_instances_is_told_by_release(
    release: str, before: str, after: str, rule: str, code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    specs = tmp_path / "specs"
    specs.mkdir()
    (specs / "platform.yaml").write_text(f"apiVersion: stormc.dev/v1\nkind: Platform\naibrix: {release}\n")
    (specs / "app.yaml").write_text(spec_text(before))
    git("init", "-q", "-b", "main")
    git("add", "-A")
    git("commit", "-qm", "before")
    assert main(["validate", "--changed", "--base", "HEAD"]) == 0
    assert "podGroupSize of" not in capsys.readouterr().out
    (specs / "app.yaml").write_text(spec_text(after))
    assert main(["validate", "--changed", "--base", "HEAD"]) == code
    out = capsys.readouterr().out
    line = next(n for n, text in enumerate(spec_text(after).splitlines(), 1) if "podGroupSize" in text)
    (told,) = [text for text in out.splitlines() if "podGroupSize of decode" in text]
    assert told.startswith(f"specs/app.yaml:{line}:") and rule in told
    assert ("all at once" in told) == (release == "v0.7.0" and SINGLE in (before, after))
