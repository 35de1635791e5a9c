"""Repository rules see remembered apps too, and judge overrides by the day of the run."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from stormc.__main__ import main
from stormc.load.sources import Source, Sources
from stormc.repository.findings import check_repository
from stormc.repository.repository import open_repository
from tests.rules.judging import both, in_role
from tests.samples import compile_in, spec_text

EXPIRING = (
    "overrides: [{target: Service, patch: {metadata: {annotations: {a: b}}}, reason: r, owner: o, "
    "expires: '2031-05-01'}]"
)


@pytest.mark.parametrize(
    ("today", "expected"), [("2031-04-30", []), ("2031-05-01", ["W046"]), ("2031-05-02", ["W046"])]
)
def test_an_override_is_reported_from_its_day_on(today: str, expected: list[str]) -> None:
    sources = Sources("specs", (Source("app.yaml", "specs/app.yaml", spec_text(EXPIRING).encode()),), ())
    opened = open_repository(sources)
    summary = compile_in(opened).summary
    assert summary
    assert [f.rule for f in check_repository(opened, [summary], today)] == expected


def test_an_unchanged_app_is_judged_again_with_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "specs").mkdir()
    past = EXPIRING.replace("2031", "2021")
    shared = both(
        "hardware: atlas-800i-a3, prefill: {npus: 8, dataParallel: 1, allowPartialNode: true}",
        in_role("prefill", "{spec: {hostNetwork: true}}"),
    )
    for name, text in (("a", past), ("b", "{}"), ("c", shared)):
        model = "other" if name == "c" else "qwen3-moe"
        fields = yaml.safe_load(text) | {"name": name, "model": {"name": model}}
        (tmp_path / f"specs/{name}.yaml").write_text(spec_text(yaml.safe_dump(fields)))
    assert ids(1, capsys) == ids(1, capsys) == ["E068", "W046", "W066", "W723", "W804"]
    (tmp_path / "specs/c.yaml").unlink()
    assert ids(0, capsys) == ids(0, capsys) == ["W046", "W066"]


def ids(code: int, capsys: pytest.CaptureFixture[str]) -> list[str]:
    """The ids that a render with this exit code reports."""
    assert main(["render", "-j", "1"]) == code
    return sorted(re.findall(r": ([EW]\d{3}) ", "".join(capsys.readouterr())))
