"""The Pods for scanners: one per role, with all that the role's template has."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from tools.pods import objects

APPS = sorted(path.parent for path in (Path(__file__).parents[1] / "rendered").glob("*/*/stormservice-*.yaml"))


@pytest.mark.parametrize("directory", APPS, ids=lambda path: path.name)
def test_a_pod_per_role(directory: Path) -> None:
    service = yaml.safe_load(next(directory.glob("stormservice-*.yaml")).read_text())
    made = list(objects(directory))
    roles = service["spec"]["template"]["spec"]["roles"]
    made_pods = [each for each in made if each["kind"] == "Pod"]
    assert [pod["spec"] for pod in made_pods] == [role["template"]["spec"] for role in roles]
    assert [pod["metadata"]["name"] for pod in made_pods] == [
        f"{service['metadata']['name']}-{r['name']}" for r in roles
    ]
    assert len(made) == len(list(directory.glob("*.yaml"))) - 2 + len(roles)  # kustomization.yaml and the StormService
    assert "StormService" not in {each["kind"] for each in made}


def test_there_are_examples() -> None:
    assert len(APPS) >= 4
