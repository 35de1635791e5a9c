"""A promotion changes what was tried out and nothing else, comments of the target included."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from stormc.__main__ import main
from stormc.gitops.promotion import TUNABLE
from stormc.load.document import load_document
from stormc.model import schema
from stormc.text.edit import ABSENT, Change, rewritten
from tests.gitops.samples import PROD, STAGING
from tests.samples import spec_text

DIFF = """\
-image: vllm-ascend:v0.12.0rc1   # see the release notes
+image: vllm-ascend:v0.13.0      # see the release notes
-    max-num-seqs: 64
+    max-num-seqs: 96
+    additional-config:
+      graph: true
+  env:
+    HCCL_BUFFSIZE: "2048"
+proxy:
+  maxRetries: 5
"""


@pytest.fixture
def specs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for directory, text in (("staging", spec_text(STAGING)), ("prod", PROD)):
        (tmp_path / "specs" / directory).mkdir(parents=True)
        (tmp_path / "specs" / directory / "chat.yaml").write_text(text)
    return tmp_path / "specs"


def promote(*more: str) -> int:
    return main(["promote", "--from", "specs/staging", "--to", "specs/prod", "chat", *more])


def changed(diff: str) -> str:
    lines = diff.splitlines(keepends=True)[2:]
    return "".join(line for line in lines if line[0] in "+-" and line.strip() not in "+-")


def test_it_shows_the_change_then_makes_it_and_then_has_nothing_to_do(
    specs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert promote("--dry-run") == 1
    shown = capsys.readouterr().out
    assert changed(shown) == DIFF
    assert (specs / "prod/chat.yaml").read_text() == PROD
    assert promote() == 0
    assert capsys.readouterr().out == shown
    text = (specs / "prod/chat.yaml").read_text()
    comments = [line for line in PROD.splitlines() if "#" in line]
    assert [line.split("#")[1] for line in text.splitlines() if "#" in line] == [c.split("#")[1] for c in comments]
    assert promote("--dry-run") == 0
    assert "nothing to promote" in capsys.readouterr().err
    assert main(["render"]) == 0


def test_what_only_the_target_has_stays_and_is_said(specs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    engine = "engine: {args: {seed: 7}, env: {OMP_NUM_THREADS: '10'}}\n"
    (specs / "prod/chat.yaml").write_text(PROD + engine)
    (specs / "staging/chat.yaml").write_text(spec_text(STAGING + "engine: {args: {max-model-len: 4096}}"))
    assert main(["fmt", "specs/prod"]) == 0
    capsys.readouterr()
    assert promote() == 0
    told = capsys.readouterr().err
    assert "prefill.engineArgs.max-model-len" in told and "engine.args.seed, engine.env.OMP_NUM_THREADS" in told
    app = yaml.safe_load((specs / "prod/chat.yaml").read_text())
    assert app["engine"] == {"args": {"seed": 7, "max-model-len": 4096}, "env": {"OMP_NUM_THREADS": "10"}}
    assert app["prefill"]["engineArgs"]["max-model-len"] == 32768
    assert promote("--exact") == 0
    app = yaml.safe_load((specs / "prod/chat.yaml").read_text())
    assert app["engine"] == {"args": {"max-model-len": 4096}} and "max-model-len" not in app["prefill"]["engineArgs"]


def test_the_effect_on_running_pods_is_said(specs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert promote("--dry-run") == 1
    told = capsys.readouterr().err
    assert "prod/chat: pods are recreated" in told and "image vllm-ascend:v0.12.0rc1" in told


@pytest.mark.parametrize(
    "more", ["", "expertParallel: true\n", "engine: {command: [./run]}\n", "routing: {image: r:1}\n"]
)
def test_fmt_accepts_what_is_written(specs: Path, more: str) -> None:
    (specs / "staging/chat.yaml").write_text(spec_text(STAGING + more))
    assert main(["fmt", "--check", "specs/prod"]) == 0
    assert promote() == 0
    assert main(["fmt", "--check", "specs/prod"]) == 0


def test_what_belongs_to_an_environment_stays(specs: Path) -> None:
    promote()
    app = yaml.safe_load((specs / "prod/chat.yaml").read_text())
    assert (app["namespace"], app["model"]["path"], app["prefill"]["replicas"]) == ("prod", "/mnt/models/Chat", 4)
    assert app["proxy"] == {"maxRetries": 5}


def test_defaults_of_the_platform_files_count(specs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    platform = "apiVersion: stormc.dev/v1\nkind: Platform\ndefaults: "
    (specs / "staging/platform.yaml").write_text(platform + "{expertParallel: true}")
    (specs / "prod/platform.yaml").write_text(platform + "{image: 'vllm-ascend:v0.13.0', decode: {env: {LATE: '1'}}}")
    assert promote("--exact") == 2
    assert "decode.env.LATE of specs/prod/chat.yaml comes from a platform file" in capsys.readouterr().err
    (specs / "prod/platform.yaml").write_text(platform + "{decode: {env: {HCCL_BUFFSIZE: '2048'}}}")
    assert promote() == 0
    app = yaml.safe_load((specs / "prod/chat.yaml").read_text())
    assert app["expertParallel"] is True
    assert "env" not in app["decode"]


REFUSALS = [
    (["--from", "specs/staging", "--to", "specs/prod", "caht"], "specs/staging has no app caht; did you mean chat?"),
    (["--from", "specs/staging", "--to", "specs/lab", "chat"], "specs/lab is not a directory"),
    (["--from", "specs/prod", "--to", "specs/prod", "chat"], "specs/prod and specs/prod hold the same app chat"),
    (["--from", "specs", "--to", "specs/prod", "chat"],
     "specs has more than one app chat: specs/prod/chat.yaml, specs/staging/chat.yaml"),
    (["--from", "/", "--to", "specs/prod", "chat"], "/ is not below specs"),
]  # fmt: skip


@pytest.mark.parametrize(("arguments", "said"), REFUSALS)
def test_what_cannot_be_promoted_is_one_line(
    arguments: list[str], said: str, specs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["promote", *arguments]) == 2
    assert capsys.readouterr().err == f"stormc: {said}\n"
    assert (specs / "prod/chat.yaml").read_text() == PROD


def test_a_comment_that_would_be_lost_is_a_refusal(specs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = "    additional-config:\n      graph: false\n      # tried in May\n      depth: 1\n"
    before = PROD.replace("    max-model-len: 32768\n", config)
    (specs / "prod/chat.yaml").write_text(before)
    assert promote() == 2
    assert "would lose the comment '# tried in May'" in capsys.readouterr().err
    assert (specs / "prod/chat.yaml").read_text() == before


@pytest.mark.parametrize("broken", ["staging", "prod"])
def test_specs_with_errors_are_not_promoted(broken: str, specs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = specs / broken / "chat.yaml"
    file.write_text(file.read_text() + "prot: 1\n")
    assert promote() == 1
    assert f"specs/{broken}/chat.yaml:" in capsys.readouterr().err


def test_a_result_with_errors_is_not_written(specs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Staging's script lies where production mounts the model."""
    script = "engine: {script: {hostPath: /mnt/models, command: ./run}}"
    (specs / "staging/chat.yaml").write_text(spec_text(STAGING + script))
    assert promote() == 1
    printed = capsys.readouterr()
    assert "E076 a volume on /mnt/models meets" in printed.err and "nothing was written" in printed.err
    assert "+engine:" in printed.out
    assert (specs / "prod/chat.yaml").read_text() == PROD


def test_one_of_two_exclusive_fields_gives_way(specs: Path) -> None:
    (specs / "prod/chat.yaml").write_text(PROD + "engine: {script: {hostPath: /opt, command: ./x}}\n")
    (specs / "staging/chat.yaml").write_text(spec_text(STAGING + "engine: {command: [./run]}"))
    assert promote() == 0
    assert yaml.safe_load((specs / "prod/chat.yaml").read_text())["engine"] == {"command": ["./run"]}


TEXT = """\
a: 1  # beside a
# above b
b: "2"  # beside b

c:
  x: 1
  # above y
  y: [1, 2]  # beside y

# above d
d: {g: 1, h: 2}
# end
"""
EDITS = [
    (Change(("b",), 5), 'b: "2"', "b: 5  "),
    (Change(("b",), ABSENT), 'b: "2"  # beside b\n', ""),
    (Change(("c", "y"), 3), "y: [1, 2]  # beside y", "y: 3       # beside y"),
    (Change(("c", "y"), ABSENT), "  y: [1, 2]  # beside y\n", ""),
    (Change(("c", "z"), "on"), "# beside y\n", "# beside y\n  z: on\n"),
    (Change(("d", "i"), [1]), "h: 2}", "h: 2, i: [1]}"),
    (Change(("d", "g"), ABSENT), "{g: 1, h: 2}", "{h: 2}"),
    (Change(("c", "x"), ABSENT), "  x: 1\n", ""),
    (Change(("e", "f", "g"), 1), "h: 2}\n", "h: 2}\ne:\n  f:\n    g: 1\n"),
]


@pytest.mark.parametrize(("change", "old", "new"), EDITS, ids=lambda value: str(value)[:20])
def test_an_edit_touches_its_own_lines(change: Change, old: str, new: str) -> None:
    assert rewritten(TEXT, [change]) == TEXT.replace(old, new)


fields = st.sampled_from([("a",), ("b",), ("c", "x"), ("c", "y"), ("c", "z"), ("d", "g"), ("d", "i"), ("e", "f")])
values = st.one_of(
    st.integers(0, 9),
    st.sampled_from(["on", "10", "1e3", "x: y", "# no", ""]),
    st.lists(st.booleans(), max_size=2),
    st.dictionaries(st.sampled_from("pq"), st.text("ab", max_size=2)),
)


@given(st.dictionaries(fields, values, max_size=4))
def test_any_values_arrive_as_they_are_and_no_comment_is_lost(wanted: dict[tuple[str, ...], object]) -> None:
    expected = yaml.safe_load(TEXT)
    for path, value in wanted.items():
        parent = expected
        for step in path[:-1]:
            parent = parent.setdefault(step, {})
        parent[path[-1]] = value
    text = rewritten(TEXT, [Change(path, value) for path, value in wanted.items()])
    document, findings = load_document("x.yaml", text.encode())
    assert document is not None and document.data == expected, findings
    for comment in ("# above b", "# above y", "# above d", "# end"):
        assert comment in text


def test_tunable_fields_are_fields() -> None:
    for path in TUNABLE:
        table = schema.APP if len(path) == 1 else schema.SECTIONS[path[0]]  # type: ignore[index]
        assert path[-1] in table
