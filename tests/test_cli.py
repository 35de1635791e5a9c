"""The command as people meet it: exit codes, help, pipes, Ctrl-C, terminals, completion, and never a traceback."""

from __future__ import annotations

import contextlib
import io
import os
import pty
import re
import select
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stormc import __version__
from stormc.__main__ import VERBS, main
from stormc.commands.completion import bash, fish, zsh
from stormc.commands.progress import AFTER_SECONDS, Progress
from tests.samples import BASE, spec_text

ROOT = Path(__file__).parent.parent
STORMC = [sys.executable, "-m", "stormc"]
ENVIRONMENT = os.environ | {"PYTHONPATH": str(ROOT), "NO_COLOR": "1"}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A directory with one good and one bad set of specs."""
    for path, text in (("specs/a.yaml", spec_text("name: a")), ("bad/a.yaml", spec_text("name: a\nprot: 1"))):
        (tmp_path / path).parent.mkdir()
        (tmp_path / path).write_text(text)
    return tmp_path


def stormc(root: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*STORMC, *words], cwd=root, env=ENVIRONMENT, capture_output=True, text=True, timeout=600)


CODES: list[tuple[str, int]] = [
    ("render", 0),
    ("render --check", 1),
    ("render --specs bad", 1),
    ("render --specs none", 2),
    ("render specs/none.yaml", 2),
    ("render --jobs many", 2),
    ("validate", 0),
    ("validate --specs bad", 1),
    ("validate --specs none", 2),
    ("validate --crd specs/a.yaml", 2),
    ("validate --base main", 2),
    ("profiles", 0),
    ("profiles atlas-800i-a2", 0),
    ("profiles none", 2),
    ("engines", 0),
    ("engines 0.23", 0),
    ("engines 0.24", 2),
    ("completion bash", 0),
    ("completion tcsh", 2),
    ("run-local none", 2),
    ("", 0),
    ("help", 0),
    ("version", 0),
    ("-h render", 0),
    ("rendr", 2),
    ("--none", 2),
]


@pytest.mark.parametrize(("words", "code"), CODES, ids=[words or "nothing" for words, _ in CODES])
def test_each_command_line_has_its_exit_code(root: Path, words: str, code: int) -> None:
    done = stormc(root, *words.split())
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    assert code != 2 or (done.stdout == "" and done.stderr)


def test_the_version_is_printed(root: Path) -> None:
    done = stormc(root, "--version")
    assert (done.returncode, done.stdout) == (0, f"stormc {__version__}\n")


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_help(verb: str) -> None:
    out = io.StringIO()
    with contextlib.redirect_stdout(out), pytest.raises(SystemExit) as end:
        main([verb, "--help"])
    assert end.value.code == 0
    assert out.getvalue().startswith(f"usage: stormc {verb} ")


def test_help_names_every_verb(root: Path) -> None:
    listed = stormc(root, "--help").stdout
    assert all(re.search(rf"^ +{verb}\s+\S", listed, re.M) for verb in VERBS)


@pytest.mark.parametrize(
    ("words", "line"),
    [
        ("rendr", "stormc: no command rendr; did you mean render?\n"),
        ("vaildate x", "stormc: no command vaildate; did you mean validate?\n"),
        ("xyzzy", "stormc: no command xyzzy; see: stormc --help\n"),
        ("--none", "stormc: no option --none; see: stormc --help\n"),
    ],
)
def test_an_unknown_verb_is_told_the_closest(root: Path, words: str, line: str) -> None:
    assert stormc(root, *words.split()).stderr == line


def test_help_of_a_verb_from_anywhere(root: Path) -> None:
    behind = stormc(root, "render", "-h").stdout
    assert "--check" in behind
    assert stormc(root, "-h", "render").stdout == stormc(root, "help", "render").stdout == behind
    assert stormc(root).stdout == stormc(root, "help").stdout == stormc(root, "--help").stdout


def test_a_wrong_option_shows_the_usage_of_its_verb(root: Path) -> None:
    assert stormc(root, "validate", "-v").stderr.startswith("usage: stormc validate ")


def test_letters_that_a_terminal_lacks_end_nothing(root: Path) -> None:
    (root / "specs/b.yaml").write_text("kind: Äpp…\n", encoding="utf-8")
    done = subprocess.run(
        [*STORMC, "validate"], cwd=root, env=ENVIRONMENT | {"PYTHONIOENCODING": "ascii"}, capture_output=True, text=True
    )
    assert (done.returncode, "Traceback" in done.stderr) == (1, False)
    assert "pp\\u2026" in done.stdout


def test_a_directory_below_finds_the_root(root: Path) -> None:
    inner = root / "specs" / "deep"
    inner.mkdir()
    (root / "specs/a.yaml").rename(inner / "a.yaml")
    assert stormc(inner, "validate", "a.yaml").stderr == "1 app: no findings\n"
    assert stormc(root, "render").returncode == 0
    assert stormc(inner, "render", "--check").returncode == 0
    assert not (inner / "rendered").exists()
    elsewhere = stormc(Path("/"), "validate", str(inner / "a.yaml"))
    assert (elsewhere.returncode, elsewhere.stderr) == (0, "1 app: no findings\n")
    (inner / ".git").mkdir()
    assert stormc(inner, "validate").stderr.startswith("stormc: specs is not a directory: go to a repository")


def test_render_ends_with_one_line(root: Path) -> None:
    line = r"1 app: (\d+) files written, (\d+) unchanged, (\d+) removed, \d+\.\d\d s\n"
    first, second = (re.fullmatch(line, stormc(root, "render").stdout) for _ in range(2))
    assert first and second
    assert int(first[1]) > 5 and first.group(2, 3) == ("0", "0")
    assert second.group(1, 2, 3) == ("0", first[1], "0")


def test_a_reader_that_leaves_is_no_error(root: Path) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing) as pipe:
        done = subprocess.run([*STORMC, "profiles"], cwd=root, env=ENVIRONMENT, stdout=pipe, stderr=subprocess.PIPE)
    assert (done.returncode, done.stderr) == (0, b"")


def test_ctrl_c_is_one_line(root: Path) -> None:
    os.mkfifo(root / "crd.yaml")
    child = subprocess.Popen(
        [*STORMC, "validate", "--crd", "crd.yaml"], cwd=root, env=ENVIRONMENT, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a shell's background jobs ignore it
    )  # fmt: skip
    with open(root / "crd.yaml", "w"):  # returns when the command has opened it, and waits for its content
        child.send_signal(signal.SIGINT)
        out, said = child.communicate(timeout=600)
    assert (child.returncode, out, said) == (130, "", "interrupted\n")


def test_progress_shows_on_a_terminal_only(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("stormc.commands.progress.AFTER_SECONDS", 0.0)
    monkeypatch.setattr("stormc.commands.progress.EVERY_SECONDS", 600.0)
    with Progress("rendering") as progress:
        progress(1, 2)
    assert capsys.readouterr().err == ""
    leader, follower = pty.openpty()
    with os.fdopen(follower, "w") as terminal:
        monkeypatch.setattr("sys.stderr", terminal)
        with Progress("rendering") as progress:
            progress(1, 2)
            progress(2, 2)  # too soon after the first to be shown
        expected = b"\r\x1b[Krendering 1/2\r\x1b[K"
        shown = b""
        while len(shown) < len(expected):  # a terminal may hand out what was written in pieces
            shown += os.read(leader, 1000)
    os.close(leader)
    assert shown == expected


def test_a_short_command_shows_no_progress_on_a_terminal(root: Path) -> None:
    leader, follower = pty.openpty()
    start = time.monotonic()
    done = subprocess.run([*STORMC, "render"], cwd=root, env=ENVIRONMENT, stderr=follower, stdout=subprocess.DEVNULL)
    short = time.monotonic() - start < AFTER_SECONDS  # on a busy machine it may not be
    written = short and select.select([leader], [], [], 0)[0]
    os.close(follower)
    os.close(leader)
    assert done.returncode == 0 and not written


def completed(words: str) -> list[str]:
    """What bash offers for the last word of a command line."""
    line = words.split(" ")
    script = f"{bash()}\nCOMP_WORDS=({' '.join(w or repr('') for w in line)}); COMP_CWORD={len(line) - 1}; _stormc\n"
    done = subprocess.run(
        ["bash", "--norc", "-c", script + 'printf "%s\\n" "${COMPREPLY[@]}"'], cwd=ROOT, capture_output=True, text=True
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.split()


@pytest.mark.parametrize(
    ("line", "some"),
    [
        ("stormc ", {*VERBS, "--help", "--version"}),
        ("stormc ren", {"render"}),
        ("stormc render --c", {"--check"}),
        ("stormc validate --cha", {"--changed"}),
        ("stormc validate REA", {"README.md", "README.zh.md"}),
        ("stormc profiles atlas-800i-", {"atlas-800i-a2", "atlas-800i-a3", "atlas-800i-a3-sp"}),
        ("stormc rule W02", {"W020", "W021", "W022", "W026"}),
        ("stormc completion ", {"bash", "zsh", "fish"}),
    ],
)
def test_bash_completes(line: str, some: set[str]) -> None:
    assert set(completed(line)) == some


def test_bash_completes_a_name_with_blanks(tmp_path: Path) -> None:
    (tmp_path / "a b.yaml").touch()
    script = f"{bash()}\nCOMP_WORDS=(stormc render a); COMP_CWORD=2; _stormc\n" + 'printf "%s\\n" "${COMPREPLY[@]}"'
    done = subprocess.run(["bash", "--norc", "-c", script], cwd=tmp_path, capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("a b.yaml\n", "")


def test_every_shell_is_offered_every_verb_with_its_text() -> None:
    assert all(re.search(rf"\b{verb}\b", bash()) for verb in VERBS)
    offered = " ".join(shlex.split(zsh()))
    assert all(f"{verb}:{text}" in offered for verb, text in VERBS.items())
    assert set(VERBS.values()) <= set(shlex.split(fish()))


@pytest.mark.parametrize("shell", [shell for shell in ("bash", "zsh", "fish") if shutil.which(shell)])
def test_installed_shells_accept_their_script(shell: str, root: Path) -> None:
    script = stormc(root, "completion", shell).stdout
    done = subprocess.run([shell, "-n"], input=script, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


LINES = BASE.splitlines(keepends=True)
INSERTS = [
    "：",
    "\t",
    " ",
    ":",
    "-",
    "&a ",
    "*a",
    "!!x ",
    "0",
    "-1",
    "1e3",
    "null",
    "[",
    "{",
    '"',
    "\n",
    "\x00",
    "é",
    "/../",
]


@st.composite
def mutations(draw: st.DrawFn) -> str:
    """The base spec after a few small edits."""
    lines = list(LINES)
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, len(lines) - 1))
        match draw(st.integers(0, 3)):
            case 0 if len(lines) > 1:
                lines.pop(at)
            case 1:
                lines.insert(at, lines[draw(st.integers(0, len(lines) - 1))])
            case 2:
                key, _, _ = lines[at].partition(":")
                lines[at] = f"{key}: {draw(st.sampled_from(INSERTS))}\n"
            case _:
                where = draw(st.integers(0, len(lines[at])))
                lines[at] = lines[at][:where] + draw(st.sampled_from(INSERTS)) + lines[at][where:]
    return "".join(lines)


@pytest.fixture(scope="module")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A directory that all examples of one test share."""
    path = tmp_path_factory.mktemp("fuzz")
    (path / "specs").mkdir()
    yield path


@settings(max_examples=150)
@given(text=mutations())
def test_no_edit_of_a_spec_raises(scratch: Path, text: str) -> None:
    (scratch / "specs/a.yaml").write_text(text)
    before = sorted((scratch / "rendered").rglob("*"))
    out, said = io.StringIO(), io.StringIO()
    words = ["render", "--specs", str(scratch / "specs"), "--out", str(scratch / "rendered"), "-j", "1"]
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(said):
        code = main(words)
    assert code in (0, 1)
    if code:
        assert re.search(r"a\.yaml:\d+:\d+: [EW]\d+ .+", said.getvalue()) and "nothing was written" in said.getvalue()
        assert sorted((scratch / "rendered").rglob("*")) == before
    else:
        assert out.getvalue().startswith("1 app: ")


HEAVY = (
    "yaml.reader",
    "ruamel",
    "cerberus",
    "dataclasses",
    "inspect",
    "jsonschema",
    "git",
    "shutil",
    "multiprocessing",
)


def test_a_valid_spec_is_validated_without_what_takes_long_to_import() -> None:
    program = "import sys; from stormc.__main__ import main; main(sys.argv[1:]); print(*sys.modules, file=sys.stdout)"
    command = [sys.executable, "-c", program, "validate", "specs/a3/my-test.yaml"]
    done = subprocess.run(command, cwd=Path(__file__).parent.parent, capture_output=True, text=True, check=True)
    assert [name for name in HEAVY if name in done.stdout.split()] == []
