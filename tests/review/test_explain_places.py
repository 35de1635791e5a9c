"""Random fields in three layers: an explanation says where each stands, by a second reader of YAML."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path as File
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from stormc.actions.explaining import explain_app
from stormc.compile.compilation import Stage
from stormc.finding import Path, dotted
from stormc.model.layers import Layer, merge_layers
from stormc.review.explain import Explained, Explanation, Facts, Field, at_path, explain
from tests.compile.oracle import START, spec_of
from tests.compile.spec_fields import FIELDS
from tests.samples import BASE, read_payload, repository

APP = "specs/team/app.yaml"
LAYERS = (APP, "specs/team/platform.yaml", "specs/platform.yaml")
"""The files of the app, the nearest first."""
SHARED = [path for path in FIELDS if path[0] not in ("name", "model", "overrides", "namespace")]
PLATFORM = {"apiVersion": "stormc.dev/v1", "kind": "Platform"}
FACTS: list[dict[str, Any]] = [
    {},
    {"mindcluster": "26.1", "namespace": "team"},
    {"gitops": {"flux": {"repoURL": "https://git.example/a"}}},
]


class Plain(yaml.SafeDumper):
    """A writer that uses no aliases."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def written(data: Mapping[str, Any]) -> str:
    return yaml.dump(data, Dumper=Plain, sort_keys=False)


def lines(node: yaml.Node | None, path: Path = ()) -> Iterator[tuple[Path, int]]:
    """The line of every key and every item of a list."""
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            yield (*path, key.value), key.start_mark.line + 1
            yield from lines(value, (*path, key.value))
    elif isinstance(node, yaml.SequenceNode):
        for index, value in enumerate(node.value):
            yield (*path, index), value.start_mark.line + 1
            yield from lines(value, (*path, index))


def places(text: str, prefix: str) -> dict[str, int]:
    """The line of every field of a layer, by its name; of a platform file its defaults are the layer."""
    fields = ((dotted(path), line) for path, line in lines(yaml.compose(text, Loader=yaml.SafeLoader)))
    return {name.removeprefix(prefix): line for name, line in fields if name.startswith(prefix)}


def explained(texts: Mapping[str, str]) -> Explanation | None:
    made = repository({file.removeprefix("specs/"): text for file, text in texts.items()})
    (source,) = made.apps
    compiled = made.compile(source, read_payload(), Stage.MANIFESTS)
    if compiled.compiled is None:
        return None
    chain = [Layer(made.platforms.documents[each]) for each in made.platforms.chain(source.directory)]
    return explain(compiled, Facts(None, merge_layers(chain)), "rendered")


def fields(value: Explained) -> Iterator[Field]:
    for field in (*value.decided, *value.over, *value.exists_if):
        if field.name != "the whole spec":
            yield field


def check(made: Explanation, texts: Mapping[str, str]) -> None:
    layers = {file: places(text, "" if file == APP else "defaults.") for file, text in texts.items()}
    facts = {file: places(text, "") for file, text in texts.items() if file != APP}
    for value in made.values:
        for field in fields(value):
            name = field.name.removeprefix("platform.")
            lines_of = layers if name == field.name else facts
            where = next(((file, lines_of[file][name]) for file in LAYERS if name in lines_of.get(file, ())), None)
            assert (field.place and (field.place.file, field.place.line)) == where, (value.path, field)
        assert not [name for name in value.unset for file in LAYERS if name in layers[file]], value.path
        if value.fact_place is not None:
            name = value.fact.removeprefix("platform.")
            assert value.fact_place.line == facts[value.fact_place.file][name], value.fact


@settings(max_examples=12, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_a_field_is_where_the_nearest_layer_says_it(data: st.DataObject) -> None:
    texts = {}
    for file in LAYERS:
        paths = data.draw(st.lists(st.sampled_from(SHARED), max_size=8, unique=True))
        chosen = {path: data.draw(st.sampled_from(FIELDS[path])) for path in paths}
        if file == APP:
            start = {key: value for key, value in START.items() if key != "namespace"}
            texts[file] = written(spec_of(chosen, start))
        else:
            texts[file] = written({**PLATFORM, **data.draw(st.sampled_from(FACTS)), "defaults": spec_of(chosen, {})})
    made = explained(texts)
    assume(made is not None)
    assert made is not None
    check(made, texts)
    value = data.draw(st.sampled_from(list(made.values)))
    assert value in at_path(made, value.path)


def test_every_path_finds_its_value_again() -> None:
    made = explained({APP: written(START), **{file: written(PLATFORM) for file in LAYERS[1:]}})
    assert made is not None
    assert [value.path for value in made.values if value not in at_path(made, value.path)] == []


@pytest.fixture
def root(tmp_path: File) -> File:
    (tmp_path / "specs").mkdir()
    (tmp_path / "specs/a.yaml").write_text(BASE)
    return tmp_path


def test_a_default_of_the_hardware_stands_on_no_line(root: File) -> None:
    """The device files of a profile that lists none."""
    (mounts,) = {(v.fact, v.fact_place) for v in explain_app(root / "specs", "qwen3-moe").values if "device" in v.fact}
    assert mounts == ("hardware.deviceMounts", None)
