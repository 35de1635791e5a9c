"""A file that is no spec gets one finding that says what to do with it."""

from __future__ import annotations

from pathlib import Path

import pytest

from stormc.actions import validate
from tests.samples import spec_text

PLATFORM = "apiVersion: stormc.dev/v1\nkind: Platform\nmindcluster: '7.3'\n"
FILES = {
    "a platform under another name": ("cluster.yaml", PLATFORM, 2, "files named platform.yaml"),
    "a profile elsewhere": ("npu.yaml", "apiVersion: stormc.dev/v1\nkind: Profile\n", 2, "the directory profiles"),
    "an app in place of the platform": ("platform.yaml", spec_text(), 2, "any other file"),
    "an app among the profiles": ("profiles/a.yaml", spec_text(), 2, "any other file"),
    "a StormService": ("x.yaml", "apiVersion: orchestration.aibrix.ai/v1alpha1\nkind: StormService\n", 2, "import"),
    "a kustomization": ("kustomization.yaml", "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\n", 2,
                        "move the file out"),
    "a config of the deploy tool": ("config.yaml", "app_name: x\nstorm_service: {prefill: {}}\n", 2, "stormc import"),
    "values of a chart": ("values.yaml", "replicaCount: 1\nimage: {tag: v1}\n", 1, "kind: App"),
    "Kubernetes' shape": ("y.yaml", "apiVersion: stormc.dev/v1\nkind: App\nmetadata: {name: y}\nspec: {model: {}}\n", 3,
                          "to the top level"),
}  # fmt: skip


@pytest.mark.parametrize("case", FILES)
def test_one_finding_on_the_line_that_tells(case: str, tmp_path: Path) -> None:
    name, text, line, hint = FILES[case]
    file = tmp_path / "specs" / name
    file.parent.mkdir(parents=True)
    file.write_text(text, encoding="utf-8")
    [found] = [f for f in validate(tmp_path / "specs").findings if f.rule[0] == "E"]
    assert (found.rule, found.mark.line) == ("E209", line) and hint in found.hint


def test_a_spec_without_its_kind_is_still_a_spec(tmp_path: Path) -> None:
    (tmp_path / "specs").mkdir()
    text = spec_text().replace("kind: App\n", "")
    (tmp_path / "specs/a.yaml").write_text(text, encoding="utf-8")
    findings = [(f.rule, f.hint) for f in validate(tmp_path / "specs").findings if f.rule[0] == "E"]
    assert findings == [("E202", "write kind: App")]
