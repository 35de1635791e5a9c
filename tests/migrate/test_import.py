"""stormc import: what people have becomes specs that render to the same, or the differences are said with reasons."""

from __future__ import annotations

import copy
import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from stormc.__main__ import main
from stormc.actions.importing import Imported, Target, import_into
from stormc.load.document import load_documents
from stormc.load.sources import Source, Sources
from stormc.migrate import deploy_tool
from stormc.migrate.compare import merged, table, value_differences
from stormc.migrate.difference import Difference, lines
from stormc.migrate.proposal import Chosen
from stormc.repository.repository import open_repository
from tests.migrate import CASES, names, run_case
from tests.samples import compile_in, container, pod, repository, role
from tests.strategies import specs

NOBODY = "no override can say it"


def text(case: str) -> str:
    return (CASES / case / "input.yaml").read_text(encoding="utf-8")


def where(platform: str = "") -> Target:
    head = "apiVersion: stormc.dev/v1\nkind: Platform\n"
    files = (Source("platform.yaml", "specs/platform.yaml", f"{head}{platform}\n".encode()),) if platform else ()
    return Target(open_repository(Sources("specs", files, ())), "", Path("specs"))


def imported(raw: str, platform: str = "", chosen: Chosen = Chosen()) -> Imported:  # noqa: B008
    (made,) = import_into("input.yaml", raw.encode(), where(platform), chosen, "me")
    return made


def said(made: Imported) -> list[str]:
    return [f"{f.rule} {f.message}" for f in made.findings]


@pytest.mark.parametrize("name", names())
def test_each_case_becomes_its_recorded_spec(name: str) -> None:
    """The specs and every line of the differences are the committed ones; `make golden` writes them anew."""
    for file, made in run_case(name).items():
        assert made == (CASES / name / file).read_text(encoding="utf-8"), file


@pytest.mark.parametrize("name", names())
def test_every_difference_has_a_reason_and_every_spec_renders(name: str) -> None:
    chosen = Chosen("atlas-800i-a2") if name == "gpu-sample" else Chosen()
    made = imported(text(name), chosen=chosen)
    assert made.text is not None
    assert all(d.reason and d.reason != NOBODY for d in made.differences)
    there = repository({"a.yaml": made.text})
    outcome = compile_in(there)
    assert outcome.files is not None, outcome.findings


def test_what_is_not_in_the_list_of_differences_is_equal() -> None:
    """The list is complete: outside of it, original and result mean the same, and inside they do not."""
    made = imported(text("hand-written"))
    (original, *_), _ = load_documents("input.yaml", text("hand-written").encode())
    storm = next(m for m in made.manifests if m["kind"] == "StormService")
    roles = original.data["spec"]["template"]["spec"]["roles"]
    named = json.loads(json.dumps(original.data))
    named["spec"]["template"]["spec"]["roles"] = [
        {**r, "name": "routing"} if r["name"] == "router" else r for r in named["spec"]["template"]["spec"]["roles"]
    ]
    assert [r["name"] for r in roles] == ["prefill", "decode", "router"]
    differing = value_differences(table(storm, {}), table(named, {"prefill": "vllm"}))
    inside = [d for d in differing if "routing" not in str(d.path)]
    listed = [d for d in made.differences if d.role != "routing" and "/" not in d.path.split("[")[0].split(".")[0]]
    assert len(inside) == len([d for d in listed if not d.path.startswith(("Service", "ConfigMap"))])
    # What was copied stands where it stood.
    engine = container_of(storm, "prefill")
    assert engine["securityContext"] == {"privileged": True}
    assert engine["readinessProbe"] == {"tcpSocket": {"port": 8000}}
    assert {"name": "NODE", "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}} in engine["env"]
    assert engine["resources"]["requests"]["cpu"] == "32" and engine["resources"]["limits"]["cpu"] == "64"
    assert [c["name"] for c in pod(storm, "prefill")["spec"]["containers"]] == ["prefill", "sidecar"]
    assert any("kv_consumer" in word for word in container(storm, "decode")["args"]), "vllm serve became fields"


def container_of(storm: Any, name: str) -> Any:
    return next(c for c in pod(storm, name)["spec"]["containers"] if c["name"] == name)


def test_the_deploy_tools_objects_are_those_of_its_template() -> None:
    """Names, gang, labels and ports, read off stormservice.yaml.j2 and server_service.yaml.j2 of the tool."""
    (config, *_), _ = load_documents("c", text("deploy-tool").encode())
    (storm, *services), notes = deploy_tool.objects(config.data)
    assert [note.message.split()[-3] for note in notes] == ["storm_service.routing.server_port;"]
    assert [s["metadata"]["name"] for s in services] == [
        "llm-service-prefill-0", "llm-service-prefill-1", "llm-service-decode-0-0", "llm-service-decode-0-1",
    ]  # fmt: skip
    assert [[p["port"] for p in s["spec"]["ports"]] for s in services] == [
        [8080, 8081], [8080, 8081], [*range(8080, 8096)], [*range(8080, 8096)],
    ]  # fmt: skip
    assert pod(storm, "prefill")["metadata"]["annotations"] == {
        "huawei.com/schedule_minAvailable": "2", "huawei.com/recover_policy_path": "pod", "sp-block": "16",
    }  # fmt: skip
    assert pod(storm, "decode")["metadata"]["annotations"] == {
        "huawei.com/schedule_minAvailable": "2", "sp-block": "32",
    }  # fmt: skip
    env = {e["name"]: e.get("value") for e in container(storm, "decode")["env"]}
    assert (env["PREFILL_NUM"], env["DECODE_DP_SIZE"], env["DISTRIBUTED_DP"]) == ("2", "32", "true")
    assert "podGroupSize" not in role(storm, "routing")


PREFILL = "  prefill: {image: 'i:1', npu_num: 8, tp_size: 8}\n"
CONFIG = "app_name: a\nstorm_service:\n  model_name: m\n  model_path: /mnt/models/m\n" + PREFILL
DECODE = "  decode: {image: 'i:1', npu_num: 8, tp_size: 8}\n"


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (CONFIG, "E602 storm_service.decode is missing"),
        (CONFIG.replace("app_name: a\n", "") + DECODE, "E602 app_name is missing"),
        (CONFIG + "  decode: {npu_num: 8}\n", "E602 storm_service.decode.image is missing"),
        (CONFIG + DECODE.replace("8}", "none}"), "E602 storm_service.decode.tp_size must be a whole number"),
        (CONFIG + "  decode: [1]\n", "E602 storm_service.decode must be a mapping, got a list"),
        (CONFIG + DECODE + "  distributed_dp: yes\n", "I606 storm_service.distributed_dp is 'yes'"),
        (CONFIG + DECODE + "  routng: {}\n", "W603 the k8s-deploy-tool does not read storm_service.routng"),
        (CONFIG + DECODE + "app_name: b\n", "W604 duplicate key app_name, first set on line 1"),
        (CONFIG.replace("8, tp", "4, nodeSelector: {accelerator-type: module-910b-8}, tp") + DECODE,
         "E036 prefill needs 1 × 8 = 8 NPUs per pod, a pod has 4"),
        ("storm_service:\n", "E602 storm_service is missing"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_config(config: str, message: str) -> None:
    (made,) = import_into("c.yaml", config.encode(), where(), Chosen(), "me")
    assert any(line.startswith(message) for line in said(made)), said(made)
    assert (made.text is None) == message.startswith("E602")


def edited(case: str, change: Any) -> str:
    """A case's StormService after an edit of its data."""
    data = next(d for d in yaml.safe_load_all(text(case)) if d.get("kind") == "StormService")
    change(data, {r["name"]: r["template"] for r in data["spec"]["template"]["spec"]["roles"]})
    return yaml.safe_dump(data, sort_keys=False)


def set_in(*path: Any, to: Any) -> Any:
    def change(data: Any, roles: Any) -> None:
        node = roles.get(path[0], data)
        for step in path[1:-1] if path[0] in roles else path[:-1]:
            node = node[step]
        node[path[-1]] = to

    return change


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (set_in("decode", "metadata", "labels", "subHeathyStrategy", to="graceExit"),
         "left out: decode metadata.labels.subHeathyStrategy: label subHeathyStrategy is unknown to every release"),
        (set_in("decode", "spec", "schedulerName", to="other"), "changed: decode schedulerName: E001: "),
        (set_in("spec", "template", "spec", "schedulingStrategy", to={"volcanoSchedulingStrategy": {"minMember": 1}}),
         "left out: spec.template.spec.schedulingStrategy: E004: "),
        (set_in("metadata", "annotations", to={"model.aibrix.ai/sidecar-injection": "true"}),
         "left out: metadata.annotations.model.aibrix.ai/sidecar-injection: E057: "),
        (set_in("prefill", "spec", "initContainers", to=[{"name": "i", "image": "i:1", "image2": "x"}]),
         "left out: prefill initContainers[i].image2: E501: "),
        (set_in("spec", "replicas", to=2), "changed: spec.replicas: MindCluster supports 1; "),
        (set_in("prefill", "metadata", "labels", "process-recover-enable", to="on"),
         "left out: prefill metadata.labels.process-recover-enable: label process-recover-enable has no place"),
    ],
)  # fmt: skip
def test_what_stormc_refuses_is_left_out_with_the_reason(change: Any, line: str) -> None:
    made = imported(edited("hand-written", change))
    assert made.text is not None
    assert any(shown.startswith(line) for shown in lines(made.differences)), list(lines(made.differences))
    assert not [f for f in made.findings if f.rule[0] == "E"]


@pytest.mark.parametrize(
    ("path", "to"),
    [
        (("spec", "dnsPolicy"), "None"),
        (("spec", "hostNetwork"), True),
        (("spec", "serviceAccountName"), "engine"),
        (("spec", "affinity"), {"nodeAffinity": {}}),
        (("spec", "tolerations"), [{"key": "npu", "operator": "Exists", "effect": "NoSchedule"}]),
        (("spec", "priorityClassName"), "high"),
        (("spec", "restartPolicy"), "Never"),
        (("spec", "nodeSelector", "zone"), "b"),
        (("spec", "initContainers"), [
            {"name": "i", "image": "i:1", "volumeMounts": [{"name": "model", "mountPath": "/m"}]}]),
        (("metadata", "labels", "team"), "search"),
        (("metadata", "annotations", "note"), "on"),
        (("spec", "containers", 0, "envFrom"), [{"configMapRef": {"name": "c"}}]),
        (("spec", "containers", 0, "livenessProbe"), {"exec": {"command": ["true"]}}),
        (("spec", "containers", 0, "imagePullPolicy"), "Always"),
        (("spec", "containers", 0, "lifecycle"), {"preStop": {"sleep": {"seconds": 5}}}),
        (("spec", "containers", 0, "env"), [{"name": "A", "value": "1"}, {"name": "S", "valueFrom": {
            "secretKeyRef": {"name": "s", "key": "k"}}}]),
    ],
)  # fmt: skip
def test_whatever_a_pod_says_is_said_again(path: tuple[Any, ...], to: Any) -> None:
    """By a field of the spec or by an override; the comparison of the two manifests finds no difference there."""
    base = {(d.role, d.path) for d in imported(text("hand-written")).differences}
    made = imported(edited("hand-written", set_in("decode", *path, to=to)))
    assert made.text is not None and not [f for f in made.findings if f.rule[0] == "E"], made.findings
    new = [d for d in made.differences if (d.role, d.path) not in base]
    # A variable of the user's may take the place of one that stormc adds; nothing else may differ.
    assert not [d for d in new if d.kind != "added"], new


@settings(max_examples=40)
@given(specs())
def test_what_stormc_renders_is_imported_without_a_difference(case: tuple[dict[str, Any], str]) -> None:
    app, release = case
    app.pop("proxy", None)  # in the proxy's ConfigMap; a StormService does not tell
    for name in ("prefill", "decode"):
        if app.get(name, {}).get("resources") == {}:
            del app[name]["resources"]  # without requests on purpose: an import has the profile's again, and says so
    platform = f'apiVersion: stormc.dev/v1\nkind: Platform\nmindcluster: "{release}"\n'
    there = repository({"app.yaml": json.dumps(app, ensure_ascii=False), "platform.yaml": platform})
    outcome = compile_in(there)
    assume(outcome.files is not None)
    assert outcome.files is not None
    storm = next(raw for name, raw in outcome.files.items() if "/stormservice-" in name)
    made = imported(storm.decode(), platform=f'mindcluster: "{release}"', chosen=Chosen(app["hardware"]))
    assert made.text is not None
    assert [d for d in made.differences if d.kind != "added" or "/" not in d.path] == []
    assert "overrides" not in yaml.safe_load(made.text), made.text


@pytest.mark.parametrize(
    ("selector", "annotations", "npus", "profile", "told"),
    [
        ({"accelerator-type": "module-a3-16-super-pod"}, {}, 16, "atlas-900-a3-superpod", ""),
        ({"accelerator-type": "module-a3-16"}, {}, 16, "atlas-800i-a3", "atlas-800t-a3"),
        ({"accelerator-type": "module-910b-8"}, {}, 8, "atlas-800i-a2", "atlas-800t-a2"),
        ({}, {"huawei.com/schedule_policy": "chip8-node8"}, 8, "atlas-800i-a2", ""),
        ({}, {"huawei.com/schedule_policy": "chip2-node16-sp"}, 16, "atlas-900-a3-superpod", "atlas-800i-a3-sp"),
        ({}, {}, 8, "atlas-800i-a2", ""),
        ({}, {}, 16, "atlas-800i-a3", ""),
        ({}, {"sp-block": "16"}, 16, "atlas-900-a3-superpod", ""),
    ],
)
def test_hardware_is_inferred_and_said(
    selector: dict[str, str], annotations: dict[str, str], npus: int, profile: str, told: str
) -> None:
    def change(_: Any, roles: Any) -> None:
        for template in (roles["prefill"], roles["decode"]):
            template["spec"]["nodeSelector"] = selector
            template["metadata"]["annotations"] = annotations
            amounts = {"huawei.com/Ascend910": npus}
            template["spec"]["containers"][0]["resources"] = {"limits": amounts, "requests": amounts}

    made = imported(edited("hand-written", change))
    assert made.text is not None and yaml.safe_load(made.text)["hardware"] == profile
    (message,) = (f.message for f in made.findings if f.rule == "I606" and f.message.startswith("hardware"))
    assert profile in message and told in message


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (set_in("spec", "template", "spec", "roles", to=None), "E602 no role prefill and no role decode"),
        (set_in("spec", "template", "spec", "roles", to="x"), "E602 spec.template.spec.roles is not what"),
        (set_in("prefill", "spec", "containers", 0, "command", to=["true"]), "E602 the model's directory cannot be"),
        (set_in("metadata", "name", to=None), "E602 the StormService has no name"),
        (set_in("prefill", "spec", "nodeSelector", "accelerator-type", to="module-x"), "E602 no profile has"),
    ],
)
def test_what_no_spec_can_do_without(change: Any, message: str) -> None:
    def both(data: Any, roles: Any) -> None:
        change(data, roles)
        if "directory" in message:
            roles["prefill"]["spec"]["containers"][0].pop("args")

    made = imported(edited("hand-written", both))
    assert made.text is None and any(line.startswith(message) for line in said(made)), said(made)


@pytest.mark.parametrize("raw", ["a: [", "", "- 1\n", "kind: Service\nmetadata: 1\n", "kind: List\nitems: [1]\n", "\t"])
def test_a_file_with_nothing_to_import_is_a_finding(raw: str) -> None:
    (made,) = import_into("x.yaml", raw.encode(), where(), Chosen(), "me")
    assert made.text is None and any(f.rule[0] == "E" for f in made.findings)


def places(node: Any) -> list[tuple[Any, Any]]:
    found = []
    for key in list(node) if isinstance(node, dict) else range(len(node)) if isinstance(node, list) else ():
        found += [(node, key), *places(node[key])]
    return found


DAMAGED = [d for case in names() for d in yaml.safe_load_all(text(case)) if d.get("kind") in (None, "StormService")]
JUNK: list[Any] = [None, 1, -1, "x", "", [], {}, [1], [{}], {"a": 1}, True, 1.5, "a b", ["x", {}]]


@given(st.data())
def test_no_damage_raises(data: st.DataObject) -> None:
    document = copy.deepcopy(data.draw(st.sampled_from(DAMAGED)))
    for _ in range(data.draw(st.integers(1, 3))):
        node, key = data.draw(st.sampled_from(places(document)))
        if data.draw(st.booleans()):
            node.pop(key)
        else:
            node[key] = copy.deepcopy(data.draw(st.sampled_from(JUNK)))
        if not places(document):
            break
    chosen = Chosen("atlas-800i-a2", "/m/x") if data.draw(st.booleans()) else Chosen()
    for made in import_into("x.yaml", yaml.safe_dump(document).encode(), where(), chosen, "me"):
        assert made.text is not None or any(f.rule[0] == "E" for f in made.findings)


def test_patches_come_together_by_merge_key() -> None:
    one = {"roles": [{"name": "a", "x": 1}, {"name": "b"}], "args": ["1"]}
    other = {"roles": [{"name": "a", "y": {"z": 1}}, {"name": "c"}], "args": ["2"]}
    assert merged(one, other) == {
        "roles": [{"name": "a", "x": 1, "y": {"z": 1}}, {"name": "b"}, {"name": "c"}], "args": ["2"],
    }  # fmt: skip


def test_lines_group_what_differs_alike() -> None:
    shown = lines([Difference("added", r, f"env[{n}].x", "why") for r in ("prefill", "decode") for n in "AB"])
    assert list(shown) == ["added: prefill, decode env[A, B].x: why"]


@pytest.fixture
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "specs").mkdir()
    (tmp_path / "config.yaml").write_text(text("deploy-tool"), encoding="utf-8")
    return tmp_path


def test_specs_are_written_once(work: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["import", "config.yaml", "--out", "specs/a3"]
    assert main(words) == 0
    spec = work / "specs/a3/llm-service.yaml"
    before = spec.read_text()
    assert before == (CASES / "deploy-tool/spec.yaml").read_text()
    assert "wrote specs/a3/llm-service.yaml" in capsys.readouterr().err
    spec.write_text("mine")
    assert main(words) == 2
    assert "specs/a3/llm-service.yaml exists already; --force writes over it" in capsys.readouterr().err
    assert spec.read_text() == "mine"
    assert main([*words, "--force", "--no-verify"]) == 0
    assert "differs" not in capsys.readouterr().err and spec.read_text() == before
    assert main(["fmt", "--check"]) == 0 and main(["render"]) == 0


def test_nothing_is_written_with_an_error_in_any(work: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (work / "bad.yaml").write_text("storm_service: {}\n")
    assert main(["import", "config.yaml", "bad.yaml", "--out", "specs"]) == 1
    assert "nothing was written" in capsys.readouterr().err and not list((work / "specs").iterdir())
    assert main(["import", "config.yaml", "--out", "elsewhere"]) == 2
    assert "elsewhere is not below specs" in capsys.readouterr().err
    assert main(["import", "none.yaml"]) == 2
    assert main(["import", "config.yaml", "--hardware", "atlas-800i-a22"]) == 2
    assert "did you mean atlas-800i-a2?" in capsys.readouterr().err
    assert main(["import", "config.yaml", "config.yaml", "--out", "specs"]) == 2
    assert "more than once" in capsys.readouterr().err


def test_the_platform_around_the_spec_counts(work: Path, capsys: pytest.CaptureFixture[str]) -> None:
    head = "apiVersion: stormc.dev/v1\nkind: Platform\n"
    (work / "specs/platform.yaml").write_text(head + "defaults: {port: 9000, gateway: router}\n")
    assert main(["import", "config.yaml", "--out", "specs"]) == 0
    spec = yaml.safe_load((work / "specs/llm-service.yaml").read_text())
    assert (spec["port"], spec["gateway"]) == (8080, "roles"), "defaults of the platform do not change what ran"


def test_old_command_lines_print_the_manifests(work: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compat", "deploy", "-c", "config.yaml", "--dry-run"]) == 0
    shown = capsys.readouterr()
    kinds = [m["kind"] for m in yaml.safe_load_all(shown.out)]
    assert kinds.count("StormService") == 1 and kinds.count("Service") == 5
    assert "label fault-rescheduling is unknown" in shown.err
    (work / "config.yaml").write_text("storm_service: {}\n")
    assert main(["compat", "deploy", "-c", "config.yaml", "--dry-run"]) == 1
    assert re.search(r"^nothing was deployed$", capsys.readouterr().err, flags=re.M)
