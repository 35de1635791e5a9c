"""What the API server checks only when pods are made of a template: the StormService is accepted, its pods are not."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from stormc.finding import Path
from stormc.rules.finished import Finished, Template


def containers(finished: Finished) -> Iterator[tuple[Template, str, Mapping[str, Any]]]:
    """Template, list and container of every container."""
    for template in finished.templates:
        for kind in ("initContainers", "containers"):
            for container in template.pod.get(kind) or ():
                yield template, kind, container


def wrote(finished: Finished, template: Template, kind: str, container: str, *steps: str | tuple[str]) -> Path:
    return finished.wrote_pod(template.role, (kind, (container,), *steps), ("overrides",))
