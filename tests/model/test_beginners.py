"""Single mistakes of people who meet specs for the first time: one finding each, on their line, with a way out."""

from __future__ import annotations

from pathlib import Path

import pytest

from stormc.actions import validate
from tests.samples import spec_text

PLATFORM = "apiVersion: stormc.dev/v1\nkind: Platform\n"
ROLES = "overrides: [{target: StormService, reason: r, owner: o, patch: {spec: {template: {spec: {roles: [%s]}}}}}]"

# overlay of the spec, platform file, and of each finding: id, path of the marked value, hint
CASES = {
    "the scheduler's word for a product": (
        "hardware: module-a3-16-super-pod", "",
        [("E207", "is no known profile",
          "module-a3-16-super-pod is a word of the scheduler's; write atlas-900-a3-superpod")],
    ),
    "a product as it is printed": (
        "hardware: Atlas 900 A3 超级", "", [("E207", "is no known profile", "write atlas-900-a3-superpod")],
    ),
    "an unknown product": ("hardware: H800", "", [("E207", "is no known profile", "stormc profiles lists them")]),
    "a part of a node": ("decode: {npus: 8, dataParallel: 16}", "", [("E026", "part of a node", "set 16")]),
    "ignored without a reason": (None, "", [("E111", "needs a reason", "write # stormc: ignore[W020] and the reason")]),
    "a misspelt key of the platform": (
        "", "gitops: {argocd: {repourl: 'https://x/y.git', project: p}}",
        [("E201", "repourl", "did you mean repoURL?")],
    ),
    "an inventory of an unknown product": (
        "", "inventory: {atlas-900-a3-superpods: {nodes: 9}}",
        [("E207", "inventory.atlas-900-a3-superpods", "did you mean atlas-900-a3-superpod?")],
    ),
    "two kinds of volume": (
        "model: {volume: {hostPath: /a, persistentVolumeClaim: b}}", "", [("E205", "excludes", "keep one of the two")],
    ),
    "a port beside ranks that do not divide": (
        "decode: {dataParallel: 33}\nport: 70000", "",
        [("E036", "33", "set dataParallel to 32 or 34"), ("E204", "port 70000", "at most 65535")],
    ),
    "replicas beside ranks that do not divide": (
        "prefill: {replicas: many}\ndecode: {dataParallel: 33}", "",
        [("E203", "prefill.replicas", "write a whole number"), ("E036", "33", "set dataParallel to 32 or 34")],
    ),
    "a role that an override misspells": (
        ROLES % "{name: decoder, template: {spec: {priority: 2}}}", "",
        [("E082", "the app has no role decoder", "did you mean decode?")],
    ),
    "a release without quotes": ("", "mindcluster: 7.3", [("E203", "must be a string", 'quote it: "7.3"')]),
    "an inventory as a list": (
        "", "inventory: [atlas-900-a3-superpod]",
        [("E203", "must be a mapping", "write a mapping, such as atlas-900-a3-superpod: {nodes: 4}")],
    ),
    "one word for a list": (
        "", "policy: {registries: quay.io}", [("E203", "must be a list", "write a list: [quay.io]")],
    ),
    "a release that is none": ("", "mindcluster: '31'", [("E205", "is not one of", "")]),
}  # fmt: skip


def test_a_comment_on_another_line_is_led_to_the_finding(tmp_path: Path) -> None:
    (tmp_path / "specs").mkdir()
    text = spec_text("decode: {podGroupSize: 1, dataParallel: 12}")
    lines = [f"{line}  # stormc: ignore[W036] on purpose" if "replicas" in line else line for line in text.splitlines()]
    (tmp_path / "specs/a.yaml").write_text("\n".join(lines), encoding="utf-8")
    findings = {f.rule: f for f in validate(tmp_path / "specs").findings}
    assert findings["W114"].hint == f"W036 is on line {findings['W036'].mark.line}: move the comment there"


@pytest.mark.parametrize("case", CASES)
def test_a_beginners_mistake_is_one_finding_with_a_way_out(case: str, tmp_path: Path) -> None:
    overlay, platform, expected = CASES[case]
    (tmp_path / "specs").mkdir()
    text = spec_text(overlay or "")
    if overlay is None:
        text = text.replace("replicas: 2", "replicas: 2  # stormc: ignore[W020]")
    (tmp_path / "specs/a.yaml").write_text(text, encoding="utf-8")
    if platform:
        (tmp_path / "specs/platform.yaml").write_text(f"{PLATFORM}{platform}\n", encoding="utf-8")
    findings = [f for f in validate(tmp_path / "specs").findings if f.rule[0] == "E"]
    assert [(f.rule, str(f.hint)) for f in findings] == [(rule, hint) for rule, _, hint in expected]
    assert all(part in f.message for f, (_, part, _) in zip(findings, expected, strict=True))
