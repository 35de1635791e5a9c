"""What pods run is a literal list of files: what is not on it stops a render, and only code makes another version."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from stormc.__main__ import main
from stormc.failure import Failure
from stormc.payload.objects import shared_objects
from stormc.payload.read import CONTENTS, PROXY, key_of, proxy_directory, read_payload
from tests.samples import BASE
from tools.payload import code_digest, contents

ROOT = Path(__file__).parents[2]


def test_the_committed_list_is_that_of_the_files() -> None:
    assert CONTENTS.read_text(encoding="utf-8") == contents()


def test_the_list_holds_every_module_of_the_proxy_and_nothing_else() -> None:
    listed = set(json.loads(CONTENTS.read_text())[PROXY])
    there = {path.relative_to(ROOT / "proxy/stormc_proxy").as_posix() for path in (ROOT / "proxy").rglob("*.py")}
    assert there < listed
    assert {path.rpartition(".")[2] for path in listed - there} == {"html"}


CODE = '''\
"""What it is."""
import os  # for later

LIMIT = 5
"""Seconds."""


class Thing:
    """A thing."""

    def size(self, of: int = 1) -> int:
        """Its size."""
        return of + LIMIT
'''


@pytest.mark.parametrize("change", [
    ('"""What it is."""\n', ""), ("  # for later", ""), ("\n\n\n", "\n\n# one more\n\n"), ('"""Seconds."""\n', ""),
    ('    """A thing."""\n', "    # a thing\n"), ('"""Its size."""', '"""Another text."""'),
    ("of + LIMIT", "(of  +  LIMIT)"),
])  # fmt: skip
def test_words_and_layout_are_no_new_version(change: tuple[str, str]) -> None:
    changed = CODE.replace(*change)
    assert changed != CODE and code_digest("a.py", changed) == code_digest("a.py", CODE)


@pytest.mark.parametrize("change", [
    ("LIMIT = 5", "LIMIT = 6"), ("of + LIMIT", "of - LIMIT"), ("of: int = 1", "of: int = 2"),
    ("import os", "import sys"), ("size", "length"), ("-> int", "-> float"), ("return of", "yield of"),
    ("LIMIT = 5", 'LIMIT = "5"'),
])  # fmt: skip
def test_other_code_is_a_new_version(change: tuple[str, str]) -> None:
    assert code_digest("a.py", CODE.replace(*change)) != code_digest("a.py", CODE)


def test_a_page_counts_byte_by_byte() -> None:
    assert code_digest("a.html", "<!-- a -->") != code_digest("a.html", "<!-- b -->")


def test_versions_are_those_of_the_code(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def version(change: Callable[[dict[str, list[str]]], object]) -> str:
        programs = json.loads(contents())
        change(programs[PROXY])
        (tmp_path / "contents.json").write_text(json.dumps(programs))
        monkeypatch.setattr("stormc.payload.read.CONTENTS", tmp_path / "contents.json")
        return read_payload.__wrapped__().proxy.version

    def other(digest: int) -> Callable[[dict[str, list[str]]], object]:
        return lambda files: files["__main__.py"].__setitem__(digest, "0" * 32)

    assert version(lambda files: None) == read_payload().proxy.version == version(other(0))
    assert version(other(1)) != read_payload().proxy.version
    assert version(lambda files: files.pop("workers.py")) != read_payload().proxy.version


@pytest.fixture
def copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the proxy that is found before the real one, and a repository with one spec."""
    shutil.copytree(proxy_directory(), tmp_path / "first" / PROXY)
    monkeypatch.syspath_prepend(str(tmp_path / "first"))
    for name in [name for name in sys.modules if name.split(".")[0] == PROXY]:
        monkeypatch.delitem(sys.modules, name)
    work = tmp_path / "work"
    (work / "specs").mkdir(parents=True)
    (work / "specs/app.yaml").write_text(BASE)
    monkeypatch.chdir(work)
    return tmp_path / "first" / PROXY


@pytest.fixture(autouse=True)
def read_anew() -> Iterator[None]:
    """A process reads its programs once; each of these tests stands for a process of its own."""
    read_payload.cache_clear()
    yield
    read_payload.cache_clear()


def changed(proxy: Path) -> None:
    with (proxy / "workers.py").open("a") as file:
        file.write("# a comment\n")


DAMAGE: dict[str, tuple[Callable[[Path], object], str]] = {
    "a comment": (changed, "workers.py is not the file that this stormc was made with"),
    "a missing file": (lambda proxy: (proxy / "workers.py").unlink(), "workers.py is not the file that"),
    "a foreign module": (
        lambda proxy: (proxy / "flow/more.py").write_text(""),
        "flow/more.py is no part of stormc's proxy",
    ),
    "a foreign file": (lambda proxy: (proxy / "notes.txt").write_text(""), "notes.txt is no part of stormc's proxy"),
}


@pytest.mark.parametrize("damage", list(DAMAGE))
def test_a_damaged_proxy_stops_the_render_with_one_line(
    copied: Path, damage: str, capsys: pytest.CaptureFixture[str]
) -> None:
    act, message = DAMAGE[damage]
    act(copied)
    assert main(["render"]) == 2
    said = capsys.readouterr()
    assert said.out == "" and said.err.count("\n") == 1 and message in said.err and "make golden" in said.err
    assert not Path("rendered").exists()


def test_an_untouched_copy_is_as_good(copied: Path) -> None:
    (copied / "__pycache__").mkdir(exist_ok=True)
    assert main(["render"]) == 0
    assert PROXY not in sys.modules, "the proxy is found without being imported"


def test_without_a_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stormc.payload.read.find_spec", lambda name: None)
    with pytest.raises(Failure, match="stormc_proxy, the routing proxy, is not installed"):
        read_payload().proxy.read()


def test_every_file_finds_its_place_in_the_pod() -> None:
    payload = read_payload()
    (source,) = shared_objects(payload, "inference", (f"stormc-proxy-{payload.proxy.version}",))
    assert {key_of(path): text for path, text in payload.proxy.read().items()} == source["data"]
    assert len(source["data"]) == len(payload.proxy.read())
    assert sum(map(len, source["data"].values())) < 1 << 20
    assert not any("/" in key for key in source["data"])
