"""Contents come back as they were given, and equal parts of them are one object."""

from __future__ import annotations

import pickle

from hypothesis import given
from hypothesis import strategies as st

from stormc.tree.files import LONG, Files, joined

PROGRAM = "\n".join(f"    line {number} of a program" for number in range(3000))


def config_map(app: str) -> bytes:
    return f"# {app}\ndata:\n  a.py: |\n{PROGRAM}\n  b.py: |\n{PROGRAM}\nmetadata:\n  name: {app}\n".encode()


def parts_of(files: Files, path: str) -> tuple[bytes, ...]:
    found = files._contents[path]
    assert isinstance(found, tuple)
    return found


@given(st.lists(st.sampled_from([b"\n  a", b"\n", b"  ", b"x" * 2000, b"\n    y", b"\n  k: |", b""]), max_size=60))
def test_any_content_comes_back(pieces: list[bytes]) -> None:
    content = b"".join(pieces)
    for whole in (content, content + b"z" * LONG, b"z" * LONG + content):
        files = Files([("a", whole)])
        assert files["a"] == whole == pickle.loads(pickle.dumps(files))["a"] == joined([{"a": whole}])["a"]


def test_programs_of_many_apps_are_held_once() -> None:
    files = Files((app, config_map(app)) for app in ("one", "two"))
    one, two = parts_of(files, "one"), parts_of(files, "two")
    assert one[1] is two[1] and len(one[1]) > 1024 * 50
    again = parts_of(pickle.loads(pickle.dumps(files)), "one")
    assert again[1] is one[1]
    assert len(files) == 2 and list(files.only(["two"])) == ["two"]
