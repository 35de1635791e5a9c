"""The page of `stormc explain` in a real browser: a chosen line marks the lines on the other side, both ways."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from stormc.actions.explaining import explain_app
from stormc.review.explain import Explained, at_path
from stormc.review.explain_page import page
from tests.e2e.conftest import binary
from tests.samples import spec_text


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("page")
    (made / "specs").mkdir()
    (made / "specs/a.yaml").write_text(spec_text("prefill: {image: 'own:1'}"))
    (made / "page.html").write_text(page(explain_app(made / "specs", "qwen3-moe")), encoding="utf-8")
    return made


def value(directory: Path, path: str) -> Explained:
    (found,) = at_path(explain_app(directory / "specs", "qwen3-moe"), path)
    return found


def marked(directory: Path, place: str) -> tuple[dict[str, list[str]], str]:
    """The lines that the browser marks after it has followed the address, by kind, and the note below."""
    chromium = binary("chromium")
    assert chromium
    command = [
        chromium, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
        f"--user-data-dir={directory}/profile", "--virtual-time-budget=5000", "--dump-dom",
        f"file://{directory}/page.html#{place}",
    ]  # fmt: skip
    text = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120).stdout
    lines: dict[str, list[str]] = {"chosen": [], "linked": []}
    for line, kind in re.findall(r'<a id="([ms][0-9]+-[0-9]+)"[^>]* class="(chosen|linked)"', text):
        lines[kind].append(line)
    note = re.search(r'<pre id="note">(.*?)</pre>', text, re.S)
    assert note is not None
    return lines, note[1]


def test_a_rendered_line_marks_the_fields_that_decided_it(directory: Path) -> None:
    image = value(directory, "prefill.image")
    lines, note = marked(directory, f"m0-{image.line}")
    places = [field.place for field in (*image.decided, *image.over)]
    assert lines["chosen"] == [f"m0-{image.line}"]
    assert sorted(lines["linked"]) == sorted(f"s0-{place.line}" for place in places if place)
    assert "decided by  prefill.image: own:1" in note


def test_a_field_marks_every_line_that_it_decides(directory: Path) -> None:
    image = value(directory, "decode.image")
    place = image.decided[0].place
    assert place is not None
    lines, note = marked(directory, f"s0-{place.line}")
    assert lines["chosen"] == [f"s0-{place.line}"]
    assert f"m0-{image.line}" in lines["linked"] and f"m0-{value(directory, 'routing.image').line}" in lines["linked"]
    assert note == f"decides {len(lines['linked'])} lines of the manifests"


def test_no_line_is_marked_before_one_is_chosen(directory: Path) -> None:
    assert marked(directory, "")[0] == {"chosen": [], "linked": []}
