"""Bad input that people really write, and the one finding that each causes."""

from __future__ import annotations

import pytest

from stormc.compile.compilation import Stage
from stormc.finding import Finding, dotted, has_errors
from stormc.load.sources import Source, Sources
from stormc.payload.read import read_payload
from stormc.repository.namesakes import check_namesakes, identify_app
from stormc.repository.profiles import BUILTIN, load_profile
from stormc.repository.repository import open_repository
from tests.rules.judging import IN_ROLE, in_role, judge, patched
from tests.samples import BASE, compile_in, compiled, repository, spec_text

BYTES: list[tuple[str, bytes, set[str]]] = [
    ("empty", b"", {"E106"}),
    ("only comments", b"# nothing\n# at all\n", {"E106"}),
    ("a list", b"- a\n- b\n", {"E106"}),
    ("two documents", BASE.encode() + b"---\na: 1\n", {"E105"}),
    ("a tab", BASE.encode() + b"faults:\n\tretries: 3\n", {"E104"}),
    ("byte order mark", b"\xef\xbb\xbf" + BASE.encode(), set()),
    ("CRLF", BASE.replace("\n", "\r\n").encode(), set()),
    ("full-width colon", BASE.replace("name: qwen3-moe\nnamespace", "name：qwen3-moe\nnamespace").encode(), {"E104"}),
    ("aliases", b"a: &a [x,x,x,x,x,x,x,x,x]\n" + b"".join(
        f"{chr(98 + n)}: &{chr(98 + n)} [{','.join(['*' + chr(97 + n)] * 9)}]\n".encode() for n in range(8)), {"E107"}),
    ("not UTF-8", b"name: \xff\n", {"E103"}),
]  # fmt: skip


@pytest.mark.parametrize(("raw", "expected"), [row[1:] for row in BYTES], ids=[row[0] for row in BYTES])
def test_a_file_that_is_no_spec_is_one_finding(raw: bytes, expected: set[str]) -> None:
    assert {f.rule for f in found(raw)} == expected


def found(raw: bytes) -> list[Finding]:
    opened = open_repository(Sources("specs", (Source("app.yaml", "specs/app.yaml", raw),), ()))
    return list(compile_in(opened).findings)


FIELDS: list[tuple[str, str]] = [
    ("prefill: {replicas: two}", "E203"),
    ("prefill: {replicas: '1e3'}", "E203"),
    ("decode: {podGroupSize: 0}", "E204"),
    ("decode: {podGroupSize: 101}", "E204"),
    ("decode: {dataParallel: 6, podGroupSize: 4}", "E036"),
    ("prefill: {distributedDp: true, dataParallel: 1, tensorParallel: 16}", "E037"),
    ("{hardware: atlas-800i-a2, prefill: {tensorParallel: 4}, decode: {dataParallel: 16, spBlock: 16}}", "E024"),
    ("decode: {spBlock: 24}", "E025"),
    ("faults: {retries: -1}", "E204"),
    ("faults: {retries: 101}", "E204"),
    ("name: Qwen", "E206"),
    (f"name: {'a' * 64}", "E206"),
    ("name: qwen-", "E206"),
    (f"name: {'a' * 40}", "E040"),
    ("image: \"vllm:1\\n    privileged: true\"", "E206"),
    ("image: https://images.example.com/vllm:1", "E206"),
    ("image: registry.example.com/Vllm:1", "E206"),
    ("image: 'vllm:1:2'", "E206"),
    ("image: \"vllm\\a:1\"", "E206"),
    (f"decode: {{labels: {{a: {'x' * 64}}}}}", "E206"),
    ("decode: {env: {POD_NAME$: x}}", "E206"),
    ("decode: {annotations: {huawei.com/schedule_minAvailable: '3'}}", "E033"),
    ("decode: {labels: {subHeathyStrategy: graceExit}}", "E051"),
    (in_role("decode", "{spec: {restartPolicy: Always}}"), "E012"),
    ("overrides: [{target: Service, patch: {metadata: {annotations: {a: b}}}, reason: r, owner: o, "
     "expires: '2020-01-01'}]", "W046"),
    (in_role("decode", "{spec: {containers: [{name: side}]}}"), "E082"),
    ("overrides: [{target: StormService, patch: {spec: null}, reason: r, owner: o}]", "E501"),
    ("model: {name: Qwen/Qwen3}", "E065"),
    ("kvTransfer: {port: 70000}", "E204"),
    ("model: {path: /mnt/../etc/model}", "E206"),
    ("{model: {path: /dev/shm/a}, decode: {env: {A: b}}}", "E076"),
    ("decode: {labels: {a..b/c: x}}", "E206"),
    ("decode: {annotations: {a-.b/c: x}}", "E206"),
    (f"decode: {{nodeSelector: {{{'a' * 254}/c: x}}}}", "E206"),
    ("hardware: atlas-900", "E207"),
]  # fmt: skip


@pytest.mark.parametrize(("spec", "expected"), FIELDS)
def test_fields_cause_one_finding_each(spec: str, expected: str) -> None:
    assert [f.rule for f in judge(spec)] == [expected]


@pytest.mark.parametrize(
    "image",
    ["a:1", "Reg.example.com:5000/a/b__c/d-e.f:v1_2.3-rc", f"10.0.0.1/a@sha256:{'0' * 64}", f"a:1@sha256:{'f' * 64}"],
)
def test_images_that_the_kubelet_takes_are_no_finding(image: str) -> None:
    assert {f.rule for f in judge(f"image: '{image}'\nmodel: {{moe: true}}")} <= {"I700"}


def test_a_namesake_is_not_also_one_who_takes_the_model() -> None:
    assert [f.rule for f in judge("", beside=("{}",))] == ["E301"]


def test_independent_mistakes_are_all_found_at_once() -> None:
    spec = (
        "{decode: {dataParallel: 31, labels: {subHeathyStrategy: ignore}, annotations: {sp-block: '16'}}, "
        "port: 65530, faults: {gracePeriodSeconds: 3}}"
    )
    assert {f.rule for f in judge(spec)} == {"E036", "E051", "E033", "E047", "W017"}


@pytest.mark.parametrize(
    ("wrong", "expected"),
    [
        ('nodeSelector: {zone: "a\\tb"}}', "E206"),
        ("toleration: []}", "E201"),
        ("image: vllm ascend}, name: Qwen, model: {path: models}", "E206"),
        ("}, faults: {retries: -1, gracePeriodSeconds: 3}", "E204"),
        ("}, overrides: [{target: Pod, patch: {}, reason: r, owner: o}]", "E206"),
    ],
)
def test_a_wrong_field_hides_no_mistake_that_is_independent_of_it(wrong: str, expected: str) -> None:
    others = "dataParallel: 31, labels: {subHeathyStrategy: ignore}"
    assert {f.rule for f in judge(f"{{decode: {{{wrong}}}")} == {expected}
    reported_findings = judge(f"{{port: 65530, decode: {{{others}, {wrong}}}")
    assert {f.rule for f in reported_findings} == {expected, "E036", "E051", "E047"}


@pytest.mark.parametrize(
    "wrong", ["tensorParallel: two", "dataParallel: 31, podGroupSize: 0", "dataParalel: 32", "dp: 32"]
)
def test_what_may_follow_from_a_wrong_field_is_not_reported(wrong: str) -> None:
    (finding,) = judge(f"decode: {{{wrong}}}")
    assert finding.rule.startswith("E20")


def test_one_duplicate_among_five_thousand_apps_is_one_finding() -> None:
    names = [f"app-{number}" for number in range(4999)] + ["app-77"]
    files = tuple(
        Source(f"{n}.yaml", f"specs/{n}.yaml", BASE.replace("qwen3-moe", name, 1).encode())
        for n, name in enumerate(names)
    )
    opened = open_repository(Sources("specs", files, ()))
    summaries = [who for source in opened.apps if (who := identify_app(opened, source))]
    assert [f.rule for f in check_namesakes(summaries)] == ["E301"]


def test_a_value_of_a_platform_file_is_found_there_and_the_app_is_named() -> None:
    platform = "apiVersion: stormc.dev/v1\nkind: Platform\ndefaults:\n  kvTransfer:\n    port: 30000\n"
    sources = (
        Source("app.yaml", "specs/app.yaml", BASE.encode()),
        Source("platform.yaml", "specs/platform.yaml", platform.encode()),
    )
    opened = open_repository(Sources("specs", sources, ()))
    (finding,) = compile_in(opened).findings
    assert (finding.rule, finding.file, finding.mark.line) == ("W038", "specs/platform.yaml", 5)
    assert "app qwen3-moe" in finding.message


@pytest.mark.parametrize(
    ("spec", "at"),
    [
        (in_role("decode", "{spec: {hostNetwork: false}}"), f"{IN_ROLE}.spec.hostNetwork"),
        (in_role("decode", "{spec: {containers: [{name: side, image: 'a:1', args: []}]}}"),
         f"{IN_ROLE}.spec.containers[0].args"),
        (patched("{spec: {template: null}}"), "overrides[0].patch.spec.template"),
        (patched("{metadata: {labels: {'a b': c}}}"), "overrides[0].patch.metadata.labels.a b"),
        (patched("{status: {replicas: 1}}"), "overrides[0].patch.status"),
    ],
)  # fmt: skip
def test_what_the_server_refuses_is_found_in_the_override_that_says_it(spec: str, at: str) -> None:
    assert [(f.rule, dotted(f.path)) for f in judge(spec)] == [("E501", at)]


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (("chip8-node8", "chip9-node9"), ("E205", "schedulePolicy")),
        (("module-910b-8", "module-xyz"), ("E205", "acceleratorType")),
        (("superPod: false", "superPod: true"), ("E208", "superPod")),
        (("chip8-node8", "chip2-node8-sp"), ("E208", "superPod")),
        (("chip8-node8", "chip2-node16"), ("E208", "npus")),
        (("podNpus: [", "podNpus: [16, "), ("E208", "podNpus")),
    ],
)
def test_a_profile_is_one_that_volcano_has_a_handler_for(change: tuple[str, str], expected: tuple[str, str]) -> None:
    raw = (BUILTIN / "atlas-800i-a2.yaml").read_text(encoding="utf-8").replace(*change)
    assert [(f.rule, dotted(f.path)) for f in load_profile("profiles/mine.yaml", raw.encode())[1]] == [expected]


def test_a_profile_with_errors_is_not_also_an_unknown_one() -> None:
    raw = (BUILTIN / "atlas-800i-a2.yaml").read_text(encoding="utf-8").replace("chip8-node8", "chip9-node9")
    app = BASE.replace("atlas-900-a3-superpod", "mine")
    sources = (
        Source("app.yaml", "specs/app.yaml", app.encode()),
        Source("profiles/mine.yaml", "specs/profiles/mine.yaml", raw.encode()),
        Source("profiles/other.yaml", "specs/profiles/other.yaml", raw.replace("chip9-node9", "chip8-node8").encode()),
        Source("wrong.yaml", "specs/wrong.yaml", app.replace("mine", "other").encode()),
    )
    opened = open_repository(Sources("specs", sources, ()))
    assert [f.rule for f in opened.profiles.findings] == ["E205", "E302"]
    assert [[f.rule for f in compile_in(opened, app).findings] for app in opened.apps] == [[], ["E207"]]


def test_a_topology_too_large_for_a_config_map_is_not_blamed_on_an_override() -> None:
    role = "{podGroupSize: 1, replicas: 1000, dataParallel: 16, tensorParallel: 1, spBlock: 16}"
    spec = f"{{name: {'a' * 26}, prefill: {role}, decode: {role}}}"
    opened = repository({"app.yaml": spec_text(spec)})
    for stop in (Stage.MANIFESTS, Stage.DRAFT, Stage.FILES):
        findings = opened.compile(opened.apps[0], read_payload(), stop).findings
        (finding,) = [f for f in findings if f.rule == "E501"]
        assert finding.hint == "lower replicas or dataParallel"


def test_a_secret_named_twice_is_one_secret() -> None:
    assert not has_errors(judge("imagePullSecrets: [a, a]"))


def test_no_model_is_mounted_on_what_an_engine_pod_mounts_already() -> None:
    (storm,) = (m for m in compiled("").manifests if m["kind"] == "StormService")
    decode = next(role for role in storm["spec"]["template"]["spec"]["roles"] if role["name"] == "decode")
    (container,) = decode["template"]["spec"]["containers"]
    mounts = {mount["mountPath"] for mount in container["volumeMounts"] if mount["name"] != "model"}
    assert len(mounts) == 3
    for directory in mounts:
        assert [f.rule for f in judge(f"model: {{path: {directory}/model}}")] == ["E076"], directory
