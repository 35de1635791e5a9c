"""docs/migrate.md is true: its commands run in order, its specs are what the commands make."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from stormc.text.format import formatted
from tests.migrate.steps import (
    IMPORTED,
    PLATFORM,
    ROOT,
    SPEC,
    STEPS,
    TEXT,
    WITHOUT_SCRIPT,
    commands,
    edit,
    repository,
    run,
)

NEEDS_A_CLUSTER = ("stormc compat status", "stormc compat delete", "stormc deploy")


def test_there_are_six_steps_and_each_has_commands() -> None:
    assert [step[:2] for step in STEPS] == [f"{n}." for n in range(1, 7)]
    assert all(commands(step) for step in STEPS)


@pytest.fixture(scope="module")
def printed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, str]]:
    """The repository after all commands that need no cluster, and what they printed."""
    work = tmp_path_factory.mktemp("repository")
    repository(work)
    shown: dict[str, str] = {}
    for number, step in enumerate(STEPS, 1):
        edit(number, work)
        for command in commands(step):
            if not command.startswith(NEEDS_A_CLUSTER):
                shown[f"{number} {command}"] = run(command, work)
        if number == 2:
            assert (work / SPEC).read_text(encoding="utf-8") == IMPORTED
    return work, shown


def test_the_commands_run_in_order(printed: tuple[Path, dict[str, str]]) -> None:
    work, shown = printed
    (finding,) = re.findall(r"^    config\.yaml:.*\n(?:    .*\n)+", TEXT, flags=re.M)
    assert "".join(line[4:] for line in finding.splitlines(keepends=True)) in shown[f"1 {commands(STEPS[0])[1]}"]
    manifests, _, _ = shown["1 stormc compat deploy -c config.yaml --dry-run"].partition("config.yaml:")
    (storm,) = (m for m in yaml.safe_load_all(manifests) if m["kind"] == "StormService")
    assert storm["metadata"]["name"] == "llm-service"
    assert "llm-service differs from what was read:" in shown["2 stormc import config.yaml --out specs/a3"]
    assert (work / "rendered/a3/llm-service/stormservice-llm-service.yaml").is_file()
    assert (work / "rendered/_gitops/argocd/kustomization.yaml").is_file()
    assert "0 files to write, " in shown["6 stormc render --check"]
    assert not run("git status --porcelain", work).replace("?? config.yaml\n", "")


@pytest.mark.parametrize("spec", [IMPORTED, WITHOUT_SCRIPT, PLATFORM])
def test_specs_are_shown_in_canonical_form(spec: str) -> None:
    assert formatted("specs/a.yaml", spec.encode()) == (spec, [])


@pytest.mark.parametrize("link", sorted(set(re.findall(r"\]\(([^)#]+)\)", TEXT))))
def test_links_lead_somewhere(link: str) -> None:
    assert (ROOT / "docs" / link).exists()
