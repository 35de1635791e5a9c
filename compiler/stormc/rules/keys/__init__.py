"""Keys of pods that belong to others, that nobody reads, that mean something else, or that are misspelt."""

from __future__ import annotations

from collections.abc import Iterator

from stormc.facts.keys import Label
from stormc.rules.storm_service import StormService, Template


def tor_affinities(service: StormService) -> Iterator[tuple[Template, str]]:
    """The templates with the label tor-affinity, and its value."""
    for template in service.templates:
        if Label.TOR_AFFINITY in template.labels:
            yield template, template.labels[Label.TOR_AFFINITY]
