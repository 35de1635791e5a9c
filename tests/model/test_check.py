"""What Cerberus finds, in the user's words and at the user's own line; also for what a platform file contributed."""

from __future__ import annotations

import pytest

from stormc.finding import Finding, in_order
from stormc.repository.namesakes import check_namesakes
from tests.samples import BASE, compile_in, repository

PLATFORM = "apiVersion: stormc.dev/v1\nkind: Platform\n"


def app(change: tuple[str, str] = ("", ""), more: str = "") -> str:
    """The base app with one piece of text replaced and some lines added."""
    old, new = change
    assert old in BASE
    return BASE.replace(old, new, 1) + more


def findings(files: dict[str, str]) -> list[Finding]:
    opened = repository(files)
    outcomes = [compile_in(opened, source) for source in opened.apps]
    summaries = [o.summary for o in outcomes if o.summary]
    return in_order([*opened.findings, *(f for o in outcomes for f in o.findings), *check_namesakes(summaries)])


def told(found: list[Finding]) -> list[str]:
    """`line:column rule message | hint` of findings."""
    return [f"{f.mark.line}:{f.mark.column} {f.rule} {f.message} | {f.hint}" for f in found]


BAD: dict[str, tuple[str, str]] = {
    "unknown key": (app(more="prot: 80\n"), "17:1 E201 unknown key prot | did you mean port?"),
    "unknown key of a role": (app(("  replicas", "  replica")), "11:3 E201 unknown key prefill.replica | did you mean"),
    "text for a number": (app(("replicas: 2", 'replicas: "two"')), "11:13 E203 prefill.replicas must be an integer"),
    "digits in quotes": (app(("replicas: 2", 'replicas: "2"')), "11:13 E203 prefill.replicas must be an integer"),
    "a float": (app(("replicas: 2", "replicas: 1e3")), "11:13 E203 prefill.replicas must be an integer, got 1000.0"),
    "true for a number": (app(("replicas: 2", "replicas: true")), "11:13 E203 prefill.replicas must be an integer"),
    "a list for a role": (app(more="routing: []\n"), "17:10 E203 routing must be a mapping, got a list"),
    "a number for a name": (app(("name: qwen3-moe", "name: 7")), "3:7 E203 name must be a string, got 7 | quote"),
    "a YAML 1.1 boolean": (app(more="expertParallel: yes\n"), "17:17 E203 expertParallel must be true or false"),
    "below the range": (app(("podGroupSize: 2", "podGroupSize: 0")), "15:17 E204 decode.podGroupSize 0 is outside"),
    "above the range": (app(("podGroupSize: 2", "podGroupSize: 101")), "15:17 E204 decode.podGroupSize 101 is outside"),
    "negative": (app(more="faults: {retries: -1}\n"), "17:19 E204 faults.retries -1 is outside 0…100"),
    "retries": (app(more="faults: {retries: 101}\n"), "17:19 E204 faults.retries 101 is outside 0…100"),
    "a port": (app(more="port: 65536\n"), "17:7 E204 port 65536 is outside"),
    "below a limit": (app(more="  shmSize: -1\n"), "17:12 E204 decode.shmSize -1 is below 0 | at least 0"),
    "a word": (app(more="faults: {scheduling: forced}\n"), "17:22 E205 faults.scheduling 'forced' is not one of"),
    "upper case": (app(("name: qwen3-moe", "name: Qwen")), "3:7 E206 name 'Qwen' has the wrong form | lower-case"),
    "trailing dash": (app(("name: qwen3-moe", "name: qwen-")), "3:7 E206 name 'qwen-' has the wrong form"),
    "an escape": (app(("name: qwen3-moe", "name: ../../etc")), "3:7 E206 name '../../etc' has the wrong form"),
    "an absolute name": (app(("name: qwen3-moe", "name: /etc")), "3:7 E206 name '/etc' has the wrong form"),
    "a dot": (app(("name: qwen3-moe", "name: ..")), "3:7 E206 name '..' has the wrong form"),
    "a newline in a name": (app(("name: qwen3-moe", 'name: "a\\n"')), r"3:7 E206 name 'a\n' has the wrong form"),
    "a newline in an image": (
        app(("vllm-ascend:v0.12.0rc1", '"a:b\\n"')),
        r"8:8 E206 image 'a:b\n' has the wrong form",
    ),
    "env name": (app(more="  env: {POD_NAME$: x}\n"), "17:9 E206 key 'POD_NAME$' of decode.env has the wrong form"),
    "long label": (app(more=f"  labels: {{a: {'x' * 64}}}\n"), "17:15 E206 decode.labels.a"),
    "unknown hardware": (app(("900-a3", "900-a4")), "9:11 E207 hardware 'atlas-900-a4-superpod' is no known profile"),
    "a missing field": (app(("image: vllm-ascend:v0.12.0rc1\n", "")), "1:1 E202 image is missing"),
    "a missing field below": (app(("  path: /mnt/models/Qwen3-30B-A3B\n", "")), "6:3 E202 model.path is missing"),
}


@pytest.mark.parametrize("case", BAD)
def test_one_problem_is_one_finding_where_it_was_typed(case: str) -> None:
    text, start = BAD[case]
    (finding,) = findings({"app.yaml": text})
    assert told([finding])[0].startswith(start)
    assert finding.hint


def test_independent_problems_come_together_in_the_order_of_the_file() -> None:
    text = app(("replicas: 2", "replicas: two"), "port: 1\nprot: 1\n").replace(
        "qwen3-moe\nnamespace", "Qwen\nnamespace"
    )
    reported_findings = findings({"b.yaml": text, "a.yaml": app(("name: qwen3-moe", "name: other"), "x: 1\n")})
    assert [(f.file, f.mark.line, f.rule) for f in reported_findings] == [
        ("specs/a.yaml", 17, "E201"),
        ("specs/b.yaml", 3, "E206"),
        ("specs/b.yaml", 11, "E203"),
        ("specs/b.yaml", 17, "E204"),
        ("specs/b.yaml", 18, "E201"),
    ]


def test_a_misspelt_key_is_not_also_missing() -> None:
    (only,) = findings({"app.yaml": app(("image:", "imgae:"))})
    assert (only.rule, only.hint) == ("E201", "did you mean image?")


def test_an_inherited_value_is_found_in_the_platform_file_that_has_it() -> None:
    platform = PLATFORM + "defaults:\n  decode:\n    dataParallel: 31\n"
    reported_findings = findings({"lab/platform.yaml": platform, "lab/app.yaml": app(("  dataParallel: 32\n", ""))})
    (only,) = (f for f in reported_findings if f.rule == "E036")
    assert (only.file, only.mark[:2], only.path) == ("specs/lab/platform.yaml", (5, 19), ("decode", "dataParallel"))
    assert only.message.endswith("(app qwen3-moe)")


def test_the_app_wins_over_the_platform_and_is_blamed() -> None:
    platform = PLATFORM + "defaults:\n  decode:\n    dataParallel: 32\n"
    reported_findings = findings({"platform.yaml": platform, "app.yaml": app(("dataParallel: 32", "dataParallel: 31"))})
    assert [(f.file, f.mark.line) for f in reported_findings if f.rule == "E036"] == [("specs/app.yaml", 16)]


def test_a_broken_platform_file_is_one_finding_however_many_apps_lie_below() -> None:
    files = {f"lab/{name}.yaml": app(("name: qwen3-moe", f"name: {name}")) for name in ("a", "b", "c")}
    assert findings(files) == []
    (only,) = findings(files | {"lab/platform.yaml": PLATFORM + "defaults: {port: none}\n"})
    assert (only.file, only.mark[:2], only.rule) == ("specs/lab/platform.yaml", (3, 18), "E203")


@pytest.mark.parametrize(
    ("more", "start"),
    [
        ("defaults: {x: null}\n", "3:12 E201 unknown key defaults.x"),
        ("namespaces: x\n", "3:1 E201 unknown key namespaces | did you mean namespace?"),
        ("defaults: {name: x}\n", "3:12 E201 defaults.name belongs into each app"),
        ("defaults: {prefill: {replica: 1}}\n", "3:22 E201 unknown key defaults.prefill.replica"),
        ("defaults: {prefill: {replicas: 0}}\n", "3:32 E204 defaults.prefill.replicas 0 is outside"),
        ('mindcluster: "7.4"\n', "3:14 E205 mindcluster '7.4' is not one of"),
        ("superPodSize: 0\n", "3:15 E204 superPodSize 0 is outside"),
    ],
)
def test_platform_files_are_checked_too(more: str, start: str) -> None:
    (line,) = told(findings({"platform.yaml": PLATFORM + more}))
    assert line.startswith(start)


def test_a_directory_has_one_platform_file() -> None:
    (finding,) = findings({"a/app.yaml": BASE, "a/platform.yaml": PLATFORM, "a/platform.yml": PLATFORM})
    assert (finding.rule, finding.file) == ("E302", "specs/a/platform.yml")
    assert "specs/a/platform.yaml is the platform file" in finding.message


def test_one_name_has_one_owner_wherever_the_files_lie() -> None:
    (only,) = findings({"a/x.yaml": app(), "b/y.yaml": app()})
    assert (only.rule, only.file, only.mark[:2]) == ("E301", "specs/b/y.yaml", (3, 7))
    assert "specs/a/x.yaml:3" in only.message
    assert findings({"a/x.yaml": app(), "b/y.yaml": app(("namespace: inference", "namespace: other"))}) == []


def test_a_key_that_holds_its_value_is_told_what_is_missing() -> None:
    (finding,) = findings({"app.yaml": app(("decode:\n", "decode:\n  env: {A:1}\n"))})
    assert (finding.rule, finding.hint) == ("E206", "write a space after the colon: A: 1")
