"""The summary of `make e2e`: what it says of a run, and that docs/e2e.md holds the one of the tests that there are."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.e2e import summary
from tests.e2e.summary import PAGE, Summary, built_from


def test_it_counts_tests_and_names_what_did_not_run() -> None:
    run = Summary()
    for seconds, outcome in ((1.5, ""), (2.0, "passed"), (0.6, ""), (0.2, "failed")):
        run.test("tests/e2e/live/test_names.py", seconds, outcome)
    run.missing["test_flux.py"] = "flux.yaml is not here"
    lines = list(run.lines())
    assert "| `live/test_names.py` | 1 | 1 | 0 | 4 |" in lines
    assert "- not run: `test_flux.py`: flux.yaml is not here" in lines
    assert "- not run: nothing" not in lines
    assert "- not run: nothing" in Summary().lines()


HERE = Path(__file__).parent
MARK = b"\xff Go buildinf:\x08\x02"


@pytest.mark.parametrize(
    ("content", "version"),
    [
        (
            MARK + b"path\ta.org/x/cmd/y\nmod\ta.org/t\t(devel)\ndep\ta.org/x\tv1.2.3\th1:\ndep\ta.org/xy\tv3.0.0\n",
            "v1.2.3",
        ),
        (MARK + b"path\ta.org/x\nmod\ta.org/x\tv0.1.0-rc.1\th1:x\n", "v0.1.0-rc.1"),
        (b"path\ta.org/x\nmod\ta.org/x\tv0.1.0\n", ""),
    ],
    ids=["a dependency of the build", "the module itself", "no program of Go"],
)
def test_a_program_tells_the_module_that_it_was_built_from(content: bytes, version: str, tmp_path: Path) -> None:
    (tmp_path / "program").write_bytes(content)
    assert built_from(tmp_path / "program") == version


def test_the_page_takes_a_summary_between_its_marks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = tmp_path / "e2e.md"
    page.write_text(f"before\n{summary.START}\nold\n{summary.END}\nafter\n")
    monkeypatch.setattr(summary, "PAGE", page)
    summary.write(["one", "two"])
    assert page.read_text() == f"before\n{summary.START}\n\none\ntwo\n\n{summary.END}\nafter\n"


def test_every_file_of_tests_is_in_both_tables_of_the_page() -> None:
    text = PAGE.read_text(encoding="utf-8")
    _, _, rest = text.partition(summary.START)
    recorded = set(re.findall(r"^\| `(\S+)` \|", rest.partition(summary.END)[0], re.M))
    files = {str(path.relative_to(HERE)) for path in HERE.rglob("test_*.py")}
    assert recorded == files
    assert [path.name for path in (HERE / "live").glob("test_*.py") if f"| `{path.name}` |" not in text] == []
