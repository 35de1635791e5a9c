"""`stormc explain`: every line of every rendered example, and what a user asks for."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path as File
from typing import Any

import pytest
import yaml

from stormc.__main__ import main
from stormc.actions.explaining import explain_app
from stormc.finding import Path
from stormc.load.sources import read_sources
from stormc.repository.repository import open_repository
from stormc.review.explain import Explanation, at_path
from stormc.review.explain_page import page
from stormc.review.explain_text import LONG_TEXT, annotated_file, text
from stormc.review.rendered_lines import line_paths
from tests.golden import CASES
from tests.samples import spec_text

ROOT = File(__file__).parents[2]
RENDERED = sorted((ROOT / "rendered").rglob("*.yaml"))


def node_lines(node: yaml.Node | None, path: Path = ()) -> Iterator[tuple[Path, int]]:
    """Each scalar and empty collection with the line on which a YAML parser finds it."""
    if isinstance(node, yaml.MappingNode) and node.value:
        for key, value in node.value:
            yield from node_lines(value, (*path, key.value))
    elif isinstance(node, yaml.SequenceNode) and node.value:
        for index, value in enumerate(node.value):
            yield from node_lines(value, (*path, index))
    elif node is not None:
        yield path, node.start_mark.line


@pytest.mark.parametrize("file", RENDERED, ids=lambda file: file.stem)
def test_lines_lead_to_the_fields_that_a_parser_finds_there(file: File) -> None:
    text = file.read_text(encoding="utf-8")
    paths = list(line_paths(text))
    assert len(paths) == len(text.splitlines())
    for path, line in node_lines(yaml.compose(text, yaml.SafeLoader)):
        assert paths[line] == path


def test_lines_of_odd_keys_and_texts() -> None:
    text = '# head\n"a: b":\n  - |-\n    x: y\n\n    - z\n  - k: "v: w"\n    l: []\nm:\n  - "- n"\n'
    key = "a: b"
    assert list(line_paths(text)) == [
        (), (key,), (key, 0), (key, 0), (key, 0), (key, 0), (key, 1, "k"), (key, 1, "l"), ("m",), ("m", 0),
    ]  # fmt: skip


def explanations() -> Iterator[Any]:
    for specs in [ROOT / "specs", *(case / "specs" for case in sorted(CASES.iterdir()) if case.name != "mistakes")]:
        for source in open_repository(read_sources(specs)).apps:
            yield pytest.param(specs, source.file, id=f"{specs.parent.name}-{File(source.file).stem}")


@pytest.mark.parametrize(("specs", "spec"), list(explanations()))
def test_every_line_of_a_value_is_explained(specs: File, spec: str) -> None:
    made = explain_app(specs, spec)
    for file in made.files:
        manifest = yaml.safe_load(file.text)
        leaves = [path for path, _ in node_lines(yaml.compose(file.text, yaml.SafeLoader))]
        for path, index in zip(line_paths(file.text), file.of_line, strict=True):
            assert (index is not None) or not any(path == leaf for leaf in leaves), path
        for value in file.values:
            assert value.decided or value.fact, value.path
            assert value.source or value.decided or value.fact.startswith("platform."), value.path
        assert len({value.path for value in file.values}) == len(file.values)
        notes = "\n".join(annotated_file(file))
        if max(file.of_line.count(index) for index in range(len(file.values))) <= LONG_TEXT:
            assert yaml.safe_load(notes) == manifest


@pytest.fixture
def root(tmp_path: File, monkeypatch: pytest.MonkeyPatch) -> File:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "specs").mkdir()
    overlay = "{prefill: {image: 'own:1', engineArgs: {host: '::'}}, faults: {retries: 3}}"
    (tmp_path / "specs/a.yaml").write_text(spec_text(overlay))
    platform = "apiVersion: stormc.dev/v1\nkind: Platform\ndefaults:\n  imagePullPolicy: Always\n"
    (tmp_path / "specs/platform.yaml").write_text(platform)
    return tmp_path


def line_of(file: str, text: str) -> int:
    return next(n for n, line in enumerate(File(file).read_text().splitlines(), 1) if text in line)


ASKED = [
    ("prefill.image", "decided by  prefill.image: own:1 (specs/a.yaml:{own:1})"),
    ("prefill.image", "over        image: vllm-ascend:v0.12.0rc1 (specs/a.yaml:{image: vllm})"),
    ("decode.image", "not set     decode.image"),
    ("prefill.imagePullPolicy", "decided by  imagePullPolicy: Always (specs/platform.yaml:{Always})"),
    ("prefill.args[--host]", "replaced    --host=0.0.0.0 of pass engine.start: "),
    ("prefill.limits[Ascend910]", "fact        hardware.npus (stormc/facts/hardware/atlas-900-a3-superpod.yaml:"),
    ("prefill.fault-retry-times", "decided by  faults.retries: 3 (specs/a.yaml:{retries})"),
    ("prefill.startupProbe.failureThreshold", "fact        default"),
    ("decode.minAvailable", "StormService/qwen3-moe spec.template.spec.roles[decode].template.metadata.annotations["),
    ("metadata.namespace", "decided by  namespace: inference (specs/a.yaml:{namespace})"),
]


@pytest.mark.parametrize(("path", "line"), ASKED)
def test_a_value_is_told_with_the_line_that_decided_it(
    root: File, capsys: pytest.CaptureFixture[str], path: str, line: str
) -> None:
    place = re.search(r"(\S+):\{(.*)\}", line)
    if place:
        number = line_of(place[1].lstrip("("), place[2])
        line = line.replace(f"{{{place[2]}}})", f"{number}:")
    assert main(["explain", "qwen3-moe", path]) == 0
    assert line in capsys.readouterr().out


def test_a_rendered_line_leads_to_its_value(root: File, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["render", "-j", "1"]) == 0
    capsys.readouterr()
    file = "rendered/qwen3-moe/stormservice-qwen3-moe.yaml"
    assert main(["explain", f"{file}:{line_of(file, 'image: own:1')}"]) == 0
    assert "containers[prefill].image\n" in capsys.readouterr().out
    assert main(["explain", f"{file}:{line_of(file, 'maxUnavailable') - 1}", "--format", "json"]) == 0
    (value,) = json.loads(capsys.readouterr().out)
    assert (value["value"], value["fact"]) == (1, "stormc")


def test_a_line_of_a_spec_shows_what_it_decides(root: File, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", f"specs/a.yaml:{line_of('specs/a.yaml', 'retries')}", "--format", "json"]) == 0
    values = json.loads(capsys.readouterr().out)
    assert {value["path"].rpartition(".")[2] for value in values} == {"fault-retry-times", "restartPolicy"}
    assert len(values) == 4


WRONG = [
    (["explain", "qwen3-mo"], "no app qwen3-mo; did you mean qwen3-moe?"),
    (["explain", "qwen3-moe", "nothing.here"], "has no value nothing.here"),
    (["explain", "rendered/qwen3-moe/kustomization.yaml:1"], "is no manifest that stormc has rendered"),
    (["explain", "rendered/qwen3-moe/stormservice-qwen3-moe.yaml:1"], "holds no value"),
    (
        ["explain", "rendered/_shared/inference/configmap-stormc-launcher.yaml:4"],
        "holds a program of stormc that apps share",
    ),
    (["explain", "rendered/qwen3-moe/stormservice-qwen3-moe.yaml:99999"], "holds no value"),
]


@pytest.mark.parametrize(("arguments", "message"), WRONG)
def test_what_cannot_be_explained_is_a_failure(
    root: File, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    assert main(["render", "-j", "1"]) == 0
    capsys.readouterr()
    assert main(arguments) == 2
    assert message in capsys.readouterr().err


def test_a_stale_file_is_not_explained(root: File, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["render", "-j", "1"]) == 0
    (root / "specs/a.yaml").write_text(spec_text("prefill: {image: 'other:1'}"))
    assert main(["explain", "rendered/qwen3-moe/stormservice-qwen3-moe.yaml:9"]) == 2
    assert "is not what its spec renders to now; run: stormc render" in capsys.readouterr().err


class Ids(HTMLParser):
    """The ids of a page, the places that its links lead to, and what it would fetch."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.targets: set[str] = set()
        self.fetched: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name == "id":
                self.ids.append(str(value))
            elif name == "href":
                self.targets.add(str(value))
            elif name == "src" or tag == "link":
                self.fetched.append(str(value))


def links(text: str) -> dict[str, list[str]]:
    found = re.search(r"const links=(\{.*?\}),details=", text)
    assert found is not None
    made: dict[str, list[str]] = json.loads(found[1])
    return made


def test_the_page_needs_nothing_else_and_its_links_lead_both_ways(root: File) -> None:
    made: Explanation = explain_app(root / "specs", "qwen3-moe")
    text = page(made)
    seen = Ids(text)
    assert len(set(seen.ids)) == len(seen.ids)
    assert not seen.fetched and {target[1:] for target in seen.targets} <= set(seen.ids)
    (image,) = at_path(made, "prefill.image")
    at = links(text)[f"m0-{image.line}"]
    assert set(at) <= set(seen.ids) and len(at) == 2


def test_a_text_in_a_spec_cannot_become_a_part_of_the_page(root: File) -> None:
    evil = "</script><script>alert(1)</script>"
    (root / "specs/a.yaml").write_text(spec_text(f"prefill: {{annotations: {{note: '{evil}'}}}}"))
    text = page(explain_app(root / "specs", "qwen3-moe"))
    assert "alert(1)" in text and text.count("<script>") == 1 and text.count("</script>") == 1


def test_values_of_one_origin_are_told_once() -> None:
    explanation = explain_app(File("specs"), "deepseek-v32")
    ports = [value for value in explanation.values if "].ports[" in value.path]
    lines = list(text(ports))
    listed = [line for line in lines if re.match(r"\S+/\S+ spec\.", line)]
    more = sum(int(line.split()[1]) for line in lines if line.startswith("and "))
    assert len(listed) + more == len(ports) and len(lines) < len(ports)
