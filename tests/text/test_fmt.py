"""stormc fmt: one form for one meaning, every comment in its place, the same again for its own output."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from stormc.__main__ import main
from stormc.load.document import load_document
from stormc.text.format import formatted
from stormc.text.write import spec_text
from tests.samples import BASE
from tests.strategies import specs

ROOT = Path(__file__).parents[2]
HEAD = "apiVersion: stormc.dev/v1\nkind: App\nname: a\n"
PLATFORM = "apiVersion: stormc.dev/v1\nkind: Platform\n"


def form(text: str) -> str:
    """The canonical text, which must be its own."""
    made, findings = formatted("specs/a.yaml", text.encode())
    assert made is not None, findings
    assert formatted("specs/a.yaml", made.encode()) == (made, [])
    return made


CASES: list[tuple[str, str]] = [
    # order of keys, at the top, in sections, in flow style, in items of lists, below a platform's defaults
    ("name: a\nkind: App\napiVersion: stormc.dev/v1\n", HEAD),
    (HEAD + "decode: {}\nprefill: {tensorParallel: 1, replicas: 2}\n",
     HEAD + "prefill: {replicas: 2, tensorParallel: 1}\ndecode: {}\n"),
    (HEAD + "overrides:\n  - patch: {b: 1, a: 2}\n    owner: o\n    target: Service\n    reason: r\n",
     HEAD + "overrides:\n  - target: Service\n    patch: {b: 1, a: 2}\n    reason: r\n    owner: o\n"),
    (PLATFORM + "defaults:\n  port: 1\n  image: i:1\n", PLATFORM + "defaults:\n  image: i:1\n  port: 1\n"),
    # the user's own keys keep their order
    (HEAD + "prefill:\n  env:\n    B: x\n    A: x\n", HEAD + "prefill:\n  env:\n    B: x\n    A: x\n"),
    # quotes: none where every reader sees a string, else double ones
    (HEAD + "image: 'i:1'\n", HEAD + "image: i:1\n"),
    (HEAD + "prefill:\n  env: {A: 'on', B: yes, C: \"1\", E: 16Gi}\ndecode:\n  env:\n    D: 12:30\n",
     HEAD + 'prefill:\n  env: {A: "on", B: "yes", C: "1", E: 16Gi}\ndecode:\n  env:\n    D: "12:30"\n'),
    (HEAD + "overrides:\n- target: Service\n  expires: 2026-01-01\n",
     HEAD + 'overrides:\n  - target: Service\n    expires: "2026-01-01"\n'),
    (HEAD + "engine:\n  script:\n    command: |\n      set -e\n      run\n",
     HEAD + "engine:\n  script:\n    command: |\n      set -e\n      run\n"),
    # null and numbers
    (HEAD + "prefill:\n  engineArgs:\n    enforce-eager:\n    seed: ~\n    x: 0x10\n",
     HEAD + "prefill:\n  engineArgs:\n    enforce-eager: null\n    seed: null\n    x: 0x10\n"),
    # a comment goes with what it stands above; the head of the file stays; the tail of a block stays in it
    ("# head\nkind: App\n# about\napiVersion: stormc.dev/v1\nname: a\n",
     "# head\n# about\napiVersion: stormc.dev/v1\nkind: App\nname: a\n"),
    (HEAD + "decode:  # d\n  dataParallel: 2\n  # npus: 8\nprefill:\n  # ranks\n  tensorParallel: 8  # tp\n"
     "  dataParallel: 2\n# end\n",
     HEAD + "prefill:\n  dataParallel: 2\n  # ranks\n  tensorParallel: 8  # tp\ndecode:  # d\n  dataParallel: 2\n"
     "  # npus: 8\n# end\n"),
    (HEAD + "overrides:\n  # first\n  - patch: {a: 1}\n    # what\n    target: Service\n",
     HEAD + "overrides:\n  # first\n    # what\n  - target: Service\n    patch: {a: 1}\n"),
    # indents, line ends, blank lines at the head
    ("\n\n\n# head\n" + HEAD, "# head\n" + HEAD),
    (HEAD.replace("\n", "\r\n") + "prefill:\r\n    dataParallel: 2\r\n", HEAD + "prefill:\n  dataParallel: 2\n"),
    (HEAD + "imagePullSecrets:\n- a\n- b", HEAD + "imagePullSecrets:\n  - a\n  - b\n"),
]  # fmt: skip


@pytest.mark.parametrize(("before", "after"), CASES)
def test_each_text_becomes_its_canonical_form(before: str, after: str) -> None:
    assert form(before) == after


def test_a_tab_that_cannot_be_kept_is_a_finding_where_it_stands() -> None:
    text, (finding,) = formatted("specs/a.yaml", (HEAD + "prefill:\t# tab\n  replicas: 1\n").encode())
    assert text is None and finding.rule == "E115"
    assert (finding.mark.line, finding.mark.column, finding.hint) == (4, 9, "put blanks where tabs are")


COMMITTED = sorted([*ROOT.glob("specs/**/*.yaml"), *ROOT.glob("compiler/stormc/facts/hardware/*.yaml")])


@pytest.mark.parametrize("path", COMMITTED)
def test_what_this_repository_commits_is_canonical(path: Path) -> None:
    assert form(path.read_text()) == path.read_text()


COMMENT = st.sampled_from(["# a", "#b: c", "# 'q", '# "x: y"'])


@st.composite
def written(draw: st.DrawFn) -> str:
    """A spec as a person may write it: any order of keys, any quotes, comments between and behind the lines."""
    app, _ = draw(specs())
    shuffled = {key: app[key] for key in draw(st.permutations(list(app)))}
    style: dict[str, Any] = {"default_style": draw(st.sampled_from([None, "'", '"']))}
    text = yaml.safe_dump(shuffled, sort_keys=False, allow_unicode=True, width=1 << 20, **style)
    lines = []
    for line in text.splitlines():
        if draw(st.integers(0, 5)) == 0:
            lines.append(" " * (len(line) - len(line.lstrip())) + draw(COMMENT))
        behind = draw(st.integers(0, 8)) == 0 and not line.endswith(("|", ">", "|-", ">-"))
        lines.append(f"{line}  {draw(COMMENT)}" if behind else line)
    return "\n".join(lines) + "\n"


@given(written())
def test_nothing_is_lost_and_the_second_time_changes_nothing(text: str) -> None:
    document, findings = load_document("a.yaml", text.encode())
    if document is None:  # a comment inside of a string of several lines
        assert findings
        return
    made = form(text)
    again, _ = load_document("a.yaml", made.encode())
    assert again is not None and again.data == document.data
    for line in (line.strip() for line in text.splitlines()):
        if line.startswith("#"):
            assert line in {other.strip() for other in made.splitlines()}


@given(specs())
def test_plain_data_is_written_in_canonical_form(case: tuple[dict[str, Any], str]) -> None:
    text = spec_text(case[0])
    assert form(text) == text
    document, _ = load_document("a.yaml", text.encode())
    assert document is not None and document.data == case[0]


@pytest.fixture
def spec(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "specs").mkdir()
    path = tmp_path / "specs" / "a.yaml"
    path.write_text(BASE.replace("name: qwen3-moe\n", "name: 'qwen3-moe'\n", 1))
    path.chmod(0o640)
    return path


def test_check_writes_nothing_and_names_the_first_line(spec: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = spec.read_bytes()
    assert main(["fmt", "--check"]) == 1
    shown = capsys.readouterr()
    assert "specs/a.yaml:3:1: E116 the file is not in canonical form" in shown.out
    assert shown.err == "1 of 1 file would change\n"
    assert spec.read_bytes() == before
    assert main(["fmt"]) == 0
    assert capsys.readouterr().err == "1 of 1 file changed\n"
    assert spec.read_text() == BASE
    assert spec.stat().st_mode & 0o777 == 0o640
    stamp = spec.stat().st_ino
    assert main(["fmt", "--check", str(spec)]) == 0 and main(["fmt", "specs"]) == 0
    assert spec.stat().st_ino == stamp, "a canonical file is not touched"


@pytest.mark.parametrize("bad", [b"name: [\n", b"a: 1\na: 2\n", b"\xff", b"", b"x: &a [*a]\n"])
def test_what_is_no_yaml_is_a_finding_and_left_alone(
    spec: Path, capsys: pytest.CaptureFixture[str], bad: bytes
) -> None:
    other = spec.with_name("b.yaml")
    other.write_bytes(bad)
    assert main(["fmt"]) == 1
    assert capsys.readouterr().out.startswith("specs/b.yaml:")
    assert other.read_bytes() == bad
    assert spec.read_text() == BASE, "the others are formatted"


def test_a_missing_file_is_a_failure(spec: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["fmt", "specs/none.yaml"]) == 2
    assert capsys.readouterr().err == "stormc: specs/none.yaml: No such file or directory\n"
    assert main(["fmt", "--specs", "none"]) == 2
