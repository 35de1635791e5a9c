"""The KRM function protocol, as kustomize and kpt speak it: one process, a list in, a list out."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.samples import spec_text

OTHER = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "mine"}, "data": {"a": "1"}}


def spec(name: str = "chat", overlay: str = "", path: str = "", metadata: bool = True) -> dict[str, Any]:
    """A spec as it travels in a list: kustomize and kpt demand `metadata.name` of every object."""
    item: dict[str, Any] = yaml.safe_load(spec_text(f"name: {name}\nmodel: {{name: {name}}}\n{overlay}"))
    if metadata:
        del item["name"]
        item["metadata"] = {"name": name, "annotations": {"config.kubernetes.io/path": path} if path else {}}
    return item


def krm(items: list[Any] | None, **more: Any) -> tuple[int, dict[str, Any], str]:
    given = {"apiVersion": "config.kubernetes.io/v1", "kind": "ResourceList", **more}
    if items is not None:
        given["items"] = items
    done = subprocess.run(
        [sys.executable, "-m", "stormc", "krm"], input=yaml.safe_dump(given), capture_output=True, text=True
    )
    return done.returncode, yaml.safe_load(done.stdout) if done.stdout else {}, done.stderr


def kinds(answer: dict[str, Any]) -> set[str]:
    return {item["kind"] for item in answer["items"]}


def without_digest(items: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """The objects without the digest of the spec's text, which kustomize has written anew."""
    found = list(items)
    for item in found:
        item["metadata"].get("annotations", {}).pop("stormc.dev/spec-digest", None)
    return found


def test_a_spec_becomes_its_manifests_and_the_rest_passes_through() -> None:
    code, answer, err = krm([OTHER, spec()])
    assert (code, answer["kind"], err) == (0, "ResourceList", "")
    assert answer["items"][0] == OTHER
    assert kinds(answer) >= {"StormService", "Service", "ConfigMap"} and "App" not in kinds(answer)
    assert "results" not in answer
    code, again, _ = krm(answer["items"])
    assert code == 0 and again["items"] == answer["items"], "a list without specs is left as it is"


def test_it_renders_what_render_renders(tmp_path: Path) -> None:
    (tmp_path / "specs").mkdir()
    (tmp_path / "specs/chat.yaml").write_text(spec_text("name: chat\nmodel: {name: chat}"))
    done = subprocess.run(
        [sys.executable, "-m", "stormc", "render", "--stdout"], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    printed = without_digest(yaml.safe_load_all(done.stdout))
    assert without_digest(krm([spec()])[1]["items"]) == printed
    assert without_digest(krm([spec(metadata=False)])[1]["items"]) == printed


def test_kustomize_hands_the_spec_over_as_function_config() -> None:
    config = spec()
    config["metadata"]["annotations"]["config.kubernetes.io/function"] = "exec: {path: ./stormc-krm}\n"
    code, answer, _ = krm([], functionConfig=config)
    assert code == 0 and "StormService" in kinds(answer) and answer["functionConfig"] == config
    assert kinds(krm(None, functionConfig=config)[1]) == kinds(answer)


def test_platforms_hold_for_the_specs_below_their_path() -> None:
    platform = {
        "apiVersion": "stormc.dev/v1", "kind": "Platform", "namespace": "elsewhere",
        "metadata": {"name": "platform", "annotations": {"config.kubernetes.io/path": "staging/platform.yaml"}},
    }  # fmt: skip
    inside, outside = spec("a", path="staging/a.yaml"), spec("b", path="b.yaml")
    for item in (inside, outside):
        del item["namespace"]
    code, answer, _ = krm([platform, inside, outside])
    services = {
        i["metadata"]["name"]: i["metadata"]["namespace"] for i in answer["items"] if i["kind"] == "StormService"
    }
    assert code == 0 and services == {"a": "elsewhere", "b": "default"}


def test_errors_are_results_and_the_items_stay() -> None:
    code, answer, err = krm([spec("chat", "decode: {dataParallel: 31}", path="specs/chat.yaml")])
    assert code == 1 and kinds(answer) == {"App"}
    (result,) = [one for one in answer["results"] if one["message"].startswith("E036")]
    assert result["severity"] == "error" and result["file"]["path"] == "specs/chat.yaml"
    assert result["field"]["path"].startswith("decode") and "E036" in err


@pytest.mark.parametrize("given", ["", "kind: Deployment\n", "\x00", "items: 1\nkind: ResourceList\n", "- a\n", "{"])
def test_anything_else_is_refused_in_one_line(given: str) -> None:
    done = subprocess.run([sys.executable, "-m", "stormc", "krm"], input=given, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (2, "") and done.stderr.count("\n") == 1
    assert done.stderr.startswith("stormc: ")


def test_dates_and_foreign_values_arrive_as_they_are() -> None:
    item = {**OTHER, "data": {"day": "2026-01-01", "text": "a\n---\nb\u2028", "big": "1e400"}}
    code, answer, _ = krm([item])
    assert code == 0 and answer["items"] == [item] and json.dumps(answer)
