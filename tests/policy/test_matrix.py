"""Every hostile spec is an error under the example policy, and a warning without one; an honest one is neither."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from stormc.actions.validating import validate
from stormc.finding import Finding, Severity
from stormc.policy.overrides import covers
from stormc.policy.secrets import names_secret
from tests.policy.matrix import APP, FORBIDDEN, HOSTILE, ORDINARY, POLICY, override
from tests.policy.variants import PASSWORDS, VARIANTS

Judge = Callable[..., list[Finding]]


@pytest.fixture
def judged(tmp_path: Path) -> Judge:
    """A function from fields, and a platform file, to the findings."""

    def judge(fields: str, platform: str = "") -> list[Finding]:
        specs = tmp_path / "specs"
        specs.mkdir(exist_ok=True)
        text = yaml.safe_dump({**yaml.safe_load(APP), **(yaml.safe_load(fields) or {})}, sort_keys=False)
        (specs / "app.yaml").write_text(text)
        (specs / "platform.yaml").unlink(missing_ok=True)
        if platform:
            (specs / "platform.yaml").write_text(platform)
        return validate(specs, today="2026-11-28").findings

    return judge


def errors(findings: list[Finding]) -> set[str]:
    return {finding.rule for finding in findings if finding.severity == Severity.ERROR}


@pytest.mark.parametrize("case", HOSTILE | VARIANTS)
def test_a_hostile_spec_is_an_error_under_a_policy_and_a_warning_without(judged: Judge, case: str) -> None:
    fields, number = (HOSTILE | VARIANTS)[case]
    without = judged(fields)
    assert f"W{number}" in {f.rule for f in without}, without
    assert f"E{number}" in errors(judged(fields, POLICY)), case
    reported_findings = [f for f in without if f.rule == f"W{number}"]
    assert all(f.mark.line > 1 and f.hint for f in reported_findings), reported_findings


@pytest.mark.parametrize("case", PASSWORDS)
def test_a_password_in_a_url_is_an_error_everywhere(judged: Judge, case: str) -> None:
    assert errors(judged(PASSWORDS[case])) == {"E815"}


@pytest.mark.parametrize("case", FORBIDDEN)
def test_what_only_a_policy_knows(judged: Judge, case: str) -> None:
    fields, rule = FORBIDDEN[case]
    assert rule in errors(judged(fields, POLICY)), case
    assert rule not in errors(judged(fields))


def test_an_honest_spec_passes(judged: Judge) -> None:
    assert judged("", POLICY) == []
    assert judged("") == []


@pytest.mark.parametrize("case", ORDINARY)
def test_what_teams_write_every_day_is_no_warning(judged: Judge, case: str) -> None:
    assert [f for f in judged(ORDINARY[case]) if f.rule.startswith(("W8", "E"))] == []


def test_services_of_one_override_are_one_finding(judged: Judge) -> None:
    fields = override("Service", "{spec: {type: NodePort, externalIPs: [192.0.2.1]}}")
    role = "prefill: {tensorParallel: 8, replicas: 2}"
    (found,) = [f for f in judged(f"{role}\n{fields}") if f.rule == "W810"]
    assert found.path == ("overrides", 0, "patch", "spec")
    assert "NodePort" in found.message and "externalIPs" in found.message
    (found,) = [f for f in judged(f"{role}\n{fields}", POLICY) if f.rule == "E810"]
    (found,) = [f for f in judged(f"{role}\n{override('Service', '{spec: {type: NodePort}}')}") if f.rule == "W810"]
    assert found.path[3:] == ("spec", "type")


DEMANDED = {
    "seccomp": "securityContext: {seccompProfile: {type: RuntimeDefault}}",
    "dropAllCapabilities": "securityContext: {capabilities: {drop: [ALL], add: [DAC_OVERRIDE]}}",
}


@pytest.mark.parametrize("key", DEMANDED)
def test_a_policy_demands_what_confines_engines_further(judged: Judge, key: str) -> None:
    policy = f"{POLICY}  {key}: required\n"
    assert errors(judged("", policy)) == {"E804"}
    assert judged(DEMANDED[key], policy) == []


PLATFORM = "apiVersion: stormc.dev/v1\nkind: Platform\n"
TEAM: dict[str, tuple[str, str]] = {
    "another namespace": ("namespace: kube-system", "E824"),
    "a larger inventory": ("inventory: {atlas-800i-a2: {nodes: 1000}}", "E821"),
    "wiring of its own": ("gitops: {flux: {repoURL: 'https://evil.example/x.git'}}", "E821"),
    "more registries": ("policy: {registries: [evil.example/]}", "E802"),
    "a narrower policy": ("policy: {queues: []}", ""),
    "an exception for itself": (
        "policy: {exceptions: [{spec: '*', rule: E824, owner: me, reason: r}]}\nnamespace: argocd", "E824"
    ),
    "more NPUs": ("policy: {maxNpus: 100000}\ndefaults: {prefill: {replicas: 9}}", "E819"),
    "more delegated": ("policy: {delegate: [inventory]}\ninventory: {atlas-800i-a2: {nodes: 9}}", "E821"),
}  # fmt: skip


@pytest.mark.parametrize("case", TEAM)
def test_a_platform_file_below_only_narrows(tmp_path: Path, case: str) -> None:
    fields, rule = TEAM[case]
    (tmp_path / "specs/team").mkdir(parents=True)
    (tmp_path / "specs/platform.yaml").write_text(POLICY)
    (tmp_path / "specs/team/platform.yaml").write_text(PLATFORM + fields)
    (tmp_path / "specs/team/app.yaml").write_text(APP.replace("namespace: team-a\n", ""))
    assert errors(validate(tmp_path / "specs", today="2026-11-28").findings) == ({rule} if rule else set())


BELOW: dict[str, tuple[str, str]] = {
    "defaults": ("defaults: {hostNetwork: true, interface: eth1}", "W804"),
    "a list that allows it": ("policy: {secrets: ['*']}\ndefaults: {imagePullSecrets: [payments]}", "W809"),
    "host paths": ("policy: {hostPaths: [/etc]}\ndefaults: {model: {volume: {hostPath: /etc/kubernetes}}}", "W805"),
    "a command": ("policy: {engine: {command: allow}}\ndefaults: {engine: {command: [sh]}}", "W813"),
    "an exception": (
        "policy: {exceptions: [{spec: '*', rule: E804, owner: me, reason: r}]}\n"
        "defaults: {hostNetwork: true, interface: eth1}", "E804"
    ),
    "an empty policy": ("policy: {}\ndefaults: {hostNetwork: true, interface: eth1}", "E804"),
}  # fmt: skip


@pytest.mark.parametrize("case", BELOW)
@pytest.mark.parametrize("top", [PLATFORM, PLATFORM + "namespace: team-a\n"], ids=["empty", "namespace"])
def test_a_platform_file_below_one_without_policy_excuses_nothing(tmp_path: Path, case: str, top: str) -> None:
    fields, rule = BELOW[case]
    (tmp_path / "specs/team").mkdir(parents=True)
    (tmp_path / "specs/platform.yaml").write_text(top)
    (tmp_path / "specs/team/platform.yaml").write_text(PLATFORM + fields)
    (tmp_path / "specs/team/app.yaml").write_text(APP)
    assert rule in {finding.rule for finding in validate(tmp_path / "specs", today="2026-11-28").findings}


def test_of_what_the_topmost_platform_file_says_only_a_plain_secret_is_warned_about(tmp_path: Path) -> None:
    (tmp_path / "specs").mkdir()
    fields = "defaults: {hostNetwork: true, interface: eth1, engine: {env: {HF_TOKEN: abc}}}"
    (tmp_path / "specs/platform.yaml").write_text(PLATFORM + fields)
    (tmp_path / "specs/app.yaml").write_text(APP)
    findings = validate(tmp_path / "specs", today="2026-11-28").findings
    assert [(f.rule, f.file[-13:]) for f in findings if f.rule.startswith("W8")] == [("W815", "platform.yaml")]


def test_an_exception_of_the_policy_allows_and_ends(judged: Judge) -> None:
    fields, _ = HOSTILE["hostNetwork"]
    entry = "{spec: 'app.*', rule: E804, owner: platform-team, reason: r, expires: 2026-12-31}"
    policy = POLICY.replace('"**.hostNetwork", ', "") + f"  exceptions: [{entry}]\n"
    assert errors(judged(fields, policy)) == set()
    assert errors(judged(fields, policy.replace("2026-12-31", "2026-11-27"))) == {"E823"}
    assert errors(judged(fields, policy.replace("app.*", "other.*"))) == {"E804"}


def test_only_the_level_npu_has_paths_of_the_node(judged: Judge) -> None:
    for level in ("baseline", "restricted"):
        assert "E804" in errors(judged("", POLICY.replace("podSecurity: npu", f"podSecurity: {level}")))


def test_no_comment_takes_a_policy_s_error_back(judged: Judge) -> None:
    text = "namespace: kube-system"
    assert "E824" in errors(judged(text, POLICY))
    from stormc.load.sources import Source
    from stormc.text.suppress import suppressed

    findings = judged(text, POLICY)
    line = next(f.mark.line for f in findings if f.rule == "E824")
    lines = "\n" * (line - 1) + "a: b # stormc: ignore[E824] x\n"
    remaining = suppressed(findings, [Source("app.yaml", findings[0].file, lines.encode())], (), ())
    assert {"E824", "E113"} <= errors(remaining)


def test_what_a_platform_file_says_is_no_warning_of_the_spec(judged: Judge) -> None:
    platform = PLATFORM + "defaults: {imagePullSecrets: [registry], prefill: {queue: q}, decode: {queue: q}}"
    assert judged("", platform) == []


URLS = {
    "https://user:pw@git.example.com/x.git": True,
    "https://:pw@git.example.com/x.git": True,
    "https://ghp_abcdefghijklmnopqrstuvwxyz@git.example.com/x.git": True,
    "ssh://git@git.example.com/x.git": False,
    "https://git.example.com:8443/x@y.git": False,
}


@pytest.mark.parametrize("url", URLS)
def test_a_password_in_a_url_is_an_error(judged: Judge, url: str) -> None:
    flux = PLATFORM + f"gitops: {{flux: {{repoURL: '{url}'}}}}"
    assert ("E815" in errors(judged("", flux))) is URLS[url]
    assert ("E815" in errors(judged(f"routing: {{env: {{PROXY: '{url}'}}}}"))) is URLS[url]


SECRET_NAMES = {
    "HF_TOKEN": True, "OPENAI_API_KEY": True, "DB_PASSWORD": True, "AWS_SECRET_ACCESS_KEY": True, "api-key": True,
    "VLLM_MAX_TOKENS": False, "TOKENIZERS_PARALLELISM": False, "SECRETARY": False, "KEY": False, "HCCL_BUFFSIZE": False,
}  # fmt: skip


@pytest.mark.parametrize("name", SECRET_NAMES)
def test_names_that_hold_secrets_are_known(name: str) -> None:
    assert names_secret(name) is SECRET_NAMES[name]


PATHS = {
    ("**.securityContext", "StormService.spec.template.spec.roles.0.template.spec.securityContext.runAsUser"): True,
    ("**.selector", "Service.spec.selector"): True,
    ("Service.spec.type", "Service.spec.type"): True,
    ("spec.type", "Service.spec.type"): True,
    ("Service.**", "ConfigMap.data.x"): False,
    ("**.type.**.x", "Service.spec.type"): False,
    ("spec.*.a", "Service.spec.b.a.c"): True,
    ("spec.a", "Service.spec.b.a"): False,
}


@pytest.mark.parametrize(("pattern", "path"), PATHS)
def test_patterns_match_paths_step_by_step(pattern: str, path: str) -> None:
    assert covers(pattern, tuple(path.split("."))) is PATHS[pattern, path]
