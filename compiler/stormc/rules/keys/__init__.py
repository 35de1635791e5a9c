"""Keys that others own, that nobody reads, that mean something else, or that are a slip of the pen."""

from __future__ import annotations

from collections.abc import Iterator

from stormc.facts.keys import Label
from stormc.rules.storm_service import StormService, Template


def tor_affinities(service: StormService) -> Iterator[tuple[Template, str]]:
    for template in service.templates:
        if Label.TOR_AFFINITY in template.labels:
            yield template, template.labels[Label.TOR_AFFINITY]
