"""Whatever a file holds, an import answers with findings: no traceback, and no more work than the file is worth."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stormc.actions.importing import Imported, Target, import_into
from stormc.failure import Failure
from stormc.finding import has_errors
from stormc.load.document import load_document
from stormc.load.sources import Sources
from stormc.migrate.proposal import Chosen
from stormc.repository.repository import open_repository
from tests.migrate import CASES, names


def bases() -> list[dict[str, Any]]:
    """The StormServices and configs of the committed cases, and those that stormc renders."""
    raws = [(CASES / name / "input.yaml").read_bytes() for name in names()]
    raws += [path.read_bytes() for path in Path("rendered").rglob("stormservice-*.yaml")]
    documents = [document for raw in raws for document in yaml.safe_load_all(raw)]
    return [d for d in documents if d and (d.get("kind") == "StormService" or "storm_service" in d)]


BASES = bases()
ODD = st.sampled_from([
    None, "text", "", "²", "9" * 5000, "a: b", "https://x/y?z", "$(X)", "8", 5, -1, 10**17, 1.5, True,
    [], {}, ["x"], [None], [["x"]],
    {"a": "b"}, {"a": None}, {"name": ["x"]}, [{"name": "x"}], [{"a": 1}], [{"name": None}], {"items": [{"key": 1}]},
])  # fmt: skip
KEYS = st.sampled_from([
    "name", "volumes", "volumeMounts", "resources", "limits", "claims", "env", "command", "args", "template", "spec",
    "metadata", "labels", "containers", "initContainers", "ports", "tolerations", "hostPath", "configMap", "emptyDir",
    "podGroupSize", "replicas", "image", "value", "valueFrom", "subPath", "mountPath", "roles", "nodeSelector",
])  # fmt: skip


def places(node: Any) -> list[tuple[Any, Any]]:
    """Every place of a document, as the collection that it is in and its key."""
    items = list(node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ())
    return [place for key, value in items for place in ((node, key), *places(value))]


@st.composite
def damaged(draw: st.DrawFn) -> dict[str, Any]:
    """A document with one to three places that are of another shape, missing, strange or repeated."""
    document = copy.deepcopy(draw(st.sampled_from(BASES)))
    for _ in range(draw(st.integers(1, 3))):
        there = places(document)
        if not there:
            break
        inside, key = draw(st.sampled_from(there))
        kind = draw(st.sampled_from(["odd", "odd", "odd", "gone", "added", "copied"]))
        if kind == "odd":
            inside[key] = copy.deepcopy(draw(ODD))
        elif kind == "gone":
            del inside[key]
        elif kind == "copied":
            other, at = draw(st.sampled_from(there))
            inside[key] = copy.deepcopy(other[at])
        elif isinstance(inside, dict):
            inside[draw(KEYS)] = copy.deepcopy(draw(ODD))
        else:
            inside.append(copy.deepcopy(draw(st.one_of(ODD, st.sampled_from(inside)))))
    made: dict[str, Any] = document
    return made


def run(document: Any, model_path: str | None = None) -> list[Imported]:
    raw = yaml.safe_dump(document, sort_keys=False).encode()
    target = Target(open_repository(Sources("specs", (), ())), "", Path("specs"))
    return import_into("in.yaml", raw, target, Chosen(None, model_path), "me")


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(damaged(), st.sampled_from([None, "/mnt/models/m"]))
def test_a_damaged_file_is_imported_or_refused_with_a_finding(document: Any, model_path: str | None) -> None:
    for app in run(document, model_path):
        assert (app.text is not None) or has_errors(app.findings)
        if app.text is not None:
            spec, findings = load_document("spec.yaml", app.text.encode())
            assert spec is not None and findings == []


def service(**pod: Any) -> dict[str, Any]:
    """A StormService that can be imported, with more in prefill's pods."""

    def role(name: str, more: dict[str, Any]) -> dict[str, Any]:
        npus = {"huawei.com/Ascend910": 8}
        container = {
            "name": name, "image": "vllm-ascend:v0.18.0", "resources": {"limits": npus, "requests": npus},
            "command": ["vllm", "serve", "/mnt/models/m", "--tensor-parallel-size=8"], **more.pop("container", {}),
        }  # fmt: skip
        inner = {"nodeSelector": {"accelerator-type": "module-910b-8"}, "containers": [container], **more}
        return {"name": name, "replicas": 1, "template": {"spec": inner}}

    roles = [role("prefill", dict(pod)), role("decode", {})]
    return {
        "apiVersion": "orchestration.aibrix.ai/v1alpha1", "kind": "StormService", "metadata": {"name": "chat"},
        "spec": {"replicas": 1, "template": {"spec": {"roles": roles}}},
    }  # fmt: skip


def test_claims_go_into_an_override() -> None:
    npus = {"huawei.com/Ascend910": 8}
    resources = {"claims": [{"name": "fast-net"}], "limits": npus, "requests": npus}
    (app,) = run(service(container={"resources": resources}))
    assert app.text is not None
    (override,) = yaml.safe_load(app.text)["overrides"]
    (role,) = override["patch"]["spec"]["template"]["spec"]["roles"]
    (container,) = role["template"]["spec"]["containers"]
    assert container["resources"] == {"claims": [{"name": "fast-net"}]}


@pytest.mark.parametrize("word", ["https://hub.example.com/m:1", "a:b", "{a: b}", "# x", "key: value"])
def test_a_command_with_words_that_yaml_reads_otherwise(word: str) -> None:
    (app,) = run(service(container={"command": ["vllm", "serve", "/mnt/models/m", f"--override={word}", word]}))
    assert app.text is not None
    assert yaml.safe_load(app.text)["engine"]["command"][3:] == [f"--override={word}", word]


@pytest.mark.parametrize(("pod", "place"), [
    ({"volumes": [{"name": "v", "configMap": "text"}]}, "volumes[0].configMap"),
    ({"volumes": [{"name": "v"}, {"name": "v"}]}, "volumes has 'v' twice"),
    ({"container": {"resources": {"limits": ["x"]}}}, "containers[0].resources.limits"),
    ({"container": {"resources": "text"}}, "containers[0].resources"),
    ({"container": {"env": {"A": "b"}}}, "containers[0].env"),
    ({"containers": [None]}, "containers[0]"),
    ({"containers": 5}, "containers"),
    ({"container": {"volumeMounts": [{"name": "v"}]}}, "containers[0].volumeMounts[0]"),
])  # fmt: skip
def test_another_shape_is_a_finding_at_its_place(pod: dict[str, Any], place: str) -> None:
    (app,) = run(service(**pod))
    assert app.text is None
    assert [f.rule for f in app.findings if f.severity.value == "error"] == ["E602"]
    (finding,) = [f for f in app.findings if f.rule == "E602"]
    assert f"roles[0].template.spec.{place}" in finding.message


@pytest.mark.parametrize("name", [["x"], {"a": "b"}, 5, None, ""])
def test_a_role_without_a_proper_name(name: Any) -> None:
    document = service()
    document["spec"]["template"]["spec"]["roles"][0]["name"] = name
    (app,) = run(document)
    assert app.text is None and [f.rule for f in app.findings] == ["E602"]


@pytest.mark.parametrize("field", ["replicas", "podGroupSize", "dp_size", "tp_size", "npu_num"])
def test_counts_are_bounded_before_anything_is_made_of_them(field: str) -> None:
    role = {"image": "i", "replicas": 1}
    config = {"app_name": "a", "storm_service": {
        "model_name": "m", "model_path": "/m", "prefill": dict(role), "decode": {**role, field: 10**17},
    }}  # fmt: skip
    (app,) = run(config)
    assert app.text is None
    assert any(
        f.rule == "E602" and f"decode.{field} must be a whole number from 1 to" in f.message for f in app.findings
    )


def test_many_pods_are_refused() -> None:
    role = {"image": "i", "replicas": 1000, "podGroupSize": 100}
    config = {
        "app_name": "a",
        "storm_service": {"model_name": "m", "model_path": "/m", "prefill": role, "decode": role},
    }
    (app,) = run(config)
    assert app.text is None
    assert "storm_service.prefill has 100000 pods, more than 4096" in [f.message for f in app.findings]


def rendered() -> dict[str, Any]:
    """An example's StormService, as stormc renders it."""
    (path,) = Path("rendered/a3/my-test").glob("stormservice-*.yaml")
    document: dict[str, Any] = yaml.safe_load(path.read_text())
    return document


def test_a_flag_that_engine_args_cannot_say_goes_into_an_override() -> None:
    document = rendered()
    decode = next(r for r in document["spec"]["template"]["spec"]["roles"] if r["name"] == "decode")
    decode["template"]["spec"]["containers"][0]["args"].append("--\ud7ff")
    (app,) = run(document)
    assert app.text is not None
    (override,) = yaml.safe_load(app.text)["overrides"]
    assert (
        "--\ud7ff"
        in override["patch"]["spec"]["template"]["spec"]["roles"][0]["template"]["spec"]["containers"][0]["command"]
    )


def test_the_launcher_of_an_earlier_stormc_is_no_difference_to_keep() -> None:
    document = rendered()
    for role in document["spec"]["template"]["spec"]["roles"]:
        for volume in role["template"]["spec"]["volumes"]:
            if volume.get("configMap", {}).get("name") == "stormc-launcher":
                volume["configMap"]["name"] = "my-test-launcher"
    (app,) = run(document)
    assert app.text is not None and "overrides" not in yaml.safe_load(app.text)


def test_the_shape_of_what_is_rendered_is_right() -> None:
    services = [document for document in BASES if document.get("kind") == "StormService"]
    assert len(services) > 3
    for document in services:
        raw = yaml.safe_dump(document, sort_keys=False).encode()
        (app,) = import_into(
            "in.yaml", raw, Target(open_repository(Sources("specs", (), ())), "", Path("specs")), Chosen(), "me"
        )
        assert not [f.message for f in app.findings if "is not what a StormService has there" in f.message]


def test_an_unknown_profile_is_one_line() -> None:
    raw = yaml.safe_dump(service()).encode()
    with pytest.raises(Failure, match="no profile nosuch"):
        import_into(
            "in.yaml", raw, Target(open_repository(Sources("specs", (), ())), "", Path("specs")), Chosen("nosuch"), "me"
        )
