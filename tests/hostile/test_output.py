"""What a branch wrote is printed so that neither a terminal nor the log of a workflow obeys it, in every format."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from stormc.__main__ import main
from stormc.report import FORMATS
from stormc.report.escape import Escaping, escaped, escaped_json, one_line
from tests.hostile.branch import honest, stormc, write
from tests.hostile.output import obeyed, own
from tests.samples import spec_text

NASTY = "\x1b]0;x\x07 ##[add-mask]E ##vso[task.setvariable]x \u202e\x9b31m"
COMMANDS = ["::error::spoof", "  ::stop-commands::x", "##[error]x", "a ##[group]b", "###[x]", "##vso[a.b]c", "\t::x::"]


@pytest.mark.parametrize(
    "text", [*COMMANDS, NASTY, "\r::error::x", "a\n::error::x", "a\n \n\t ::x", "\x85::x", "\udcff"]
)
def test_nothing_is_obeyed(text: str) -> None:
    assert obeyed(escaped(text)) == obeyed(one_line(text)) == []
    assert "\n" not in one_line(text)


@pytest.mark.parametrize(
    "text", ["a: b", "名 é", "image: a::b", "a\n\tb\n", "## title", "# [x]", "##", "fe80::1", "https://x:1"]
)
def test_plain_text_stays(text: str) -> None:
    assert escaped(text) == text


@given(st.lists(st.text(alphabet=st.sampled_from("a :#[\n\t\r\x1b\u202e]")), max_size=6))
def test_a_stream_escapes_whatever_the_pieces(pieces: list[str]) -> None:
    below = io.StringIO()
    stream = Escaping(below)
    for piece in pieces:
        print(piece, file=stream)
    assert obeyed(below.getvalue()) == []


@given(
    st.recursive(
        st.text() | st.sampled_from(COMMANDS), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)
    )
)
def test_json_means_the_same(value: object) -> None:
    text = escaped_json(json.dumps(value, indent=2))
    assert json.loads(text) == value
    assert "##[" not in text


def spec_with_commands(root: Path) -> None:
    fields = {"name": "a", "model": {"name": "m ##[error]x"}, "image": "##[error]spoofed", "hardware": "##[add-mask]E"}
    write(root, "specs/a.yaml", spec_text(json.dumps(fields)) + "# ##[error]x \n  # ::error::x\n")


def file_names(root: Path) -> None:
    write(root, "rendered/q\n::error::spoof/f.yaml", (root / "rendered/b/kustomization.yaml").read_text())
    write(root, "rendered/##[error]x/f.yaml", "not ours")
    write(root, "specs/x\x1b[31m\n::error::x.yaml", "a: b\n")
    write(root, "specs/##[error]x.yaml", "a: b\n")


def rendered_bytes(root: Path) -> None:
    text = (root / "rendered/b/stormservice-b.yaml").read_text()
    nasty = re.sub(r"(?m)^  name: b$", "  name: \x1b[31mz ##[error]spoofed", text, count=1)
    write(root, "rendered/z/stormservice-z.yaml", nasty.replace("specs/b", "specs/\x1b[2Jz ##[error]x"))


def broken_yaml(root: Path) -> None:
    write(root, "specs/a.yaml", 'a: "##[error]x" \x07\n')
    write(root, "specs/c.yaml", "##[error]x: [\n::error::x\n")
    write(root, "specs/d.yaml", "::error::x\n")
    write(root, "specs/e.yaml", "name: 1\n? ##[error]\n: x\n::error::x: y\n")


def platform(root: Path) -> None:
    write(root, "specs/platform.yaml", "##[error]x: 1\n'::error::': {'##[a]': '\\e'}\nnamespace: '##[error]x'\n")


ATTACKS: dict[str, Callable[[Path], object]] = {
    "a spec": spec_with_commands,
    "names of files": file_names,
    "rendered bytes": rendered_bytes,
    "broken YAML": broken_yaml,
    "a platform file": platform,
}
VERBS = [
    ["validate"], ["render", "--check"], ["render"], ["fmt", "--check"], ["fmt"], ["promote", "a", "specs", "specs"],
    ["import", "specs/a.yaml"], ["compat", "deploy", "-c", "specs/a.yaml", "--dry-run"], ["run-local", "rendered/z"],
    ["validate", "specs/::error::x\n::error::y"], ["rule", "##[error]x"], ["profiles", "\x1b[31m"], ["##[error]x"],
]  # fmt: skip


@pytest.mark.parametrize("case", ATTACKS)
def test_no_verb_prints_a_command_of_the_branch(tmp_path: Path, case: str, capsys: pytest.CaptureFixture[str]) -> None:
    ATTACKS[case](honest(tmp_path))
    said = 0
    for verb in VERBS:
        formats = FORMATS if verb[0] in ("validate", "render", "fmt") else [""]
        for chosen in formats:
            done = stormc(tmp_path, *verb, *(["--format", chosen] if chosen else []))
            assert obeyed(own(done)) == [], (verb, chosen)
            assert "internal error" not in done.err
            said += "x23" in done.out + done.err or "x1b" in done.out + done.err
    assert said or case == "rendered bytes"


def test_imported_documents_arrive_and_are_not_obeyed(tmp_path: Path) -> None:
    config = {"env": {"X": "##[error]x"}, "args": "::error::x\n::stop-commands::y\n"}
    text = json.dumps(config)
    from stormc.commands.documents import _safe

    document = _safe(yaml.safe_dump(config, default_style="|"))
    assert obeyed(document) == [] and yaml.safe_load(document) == json.loads(text)
    assert _safe("a: b # c\n") == "a: b # c\n"


def test_an_internal_error_is_one_line_and_two(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fails(*_: object) -> None:
        raise KeyError("##[error]x\n::error::y")

    monkeypatch.setattr("stormc.actions.validating.read_sources", fails)
    assert main(["validate"]) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.count("\n") == 1 and "internal error" in err and "KeyError" in err
    assert obeyed(err) == []


def test_a_command_across_the_place_of_a_finding_is_not_obeyed(tmp_path: Path) -> None:
    write(tmp_path, "specs/app.yaml", spec_text().replace("name: ", "na##[error]me: ", 1))
    write(tmp_path, "specs/b.yaml", "apiVersion: stormc.dev/v1\nkind: App\nx##: &a [error]\ny: ##*b [error]\n")
    done = stormc(tmp_path, "validate")
    assert done.code == 1 and "##[" not in done.out + done.err


def test_a_command_of_several_writes_is_not_obeyed() -> None:
    for parts in (("#", "#[error]x"), ("##", "[error]x"), ("#", "#", "[x]"), ("##vso", "[task]")):
        stream = io.StringIO()
        escaping = Escaping(stream)
        escaping.writelines(parts)
        assert not re.search(r"##\w*\[", stream.getvalue()), parts


def test_what_follows_a_command_stays() -> None:
    stream = io.StringIO()
    print("a ##[error]x", file=Escaping(stream))
    assert stream.getvalue() == "a #\\x23[error]x\n"
