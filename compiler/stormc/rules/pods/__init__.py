"""What the API server checks only when pods are made of a template: the StormService is accepted, its pods are not."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from stormc.facts.pods import CONTAINERS_OF_TEMPLATES
from stormc.finding import Path
from stormc.rules.storm_service import StormService, Template


def containers(service: StormService) -> Iterator[tuple[Template, str, Mapping[str, Any]]]:
    """Template, list and container of every container."""
    for template in service.templates:
        for kind in CONTAINERS_OF_TEMPLATES:
            for container in template.pod.get(kind) or ():
                yield template, kind, container


def wrote(service: StormService, template: Template, kind: str, container: str, *steps: str | tuple[str]) -> Path:
    """The place of the override that wrote a field of a container, or that of all overrides."""
    return service.wrote_pod(template.role, (kind, (container,), *steps), ("overrides",))
