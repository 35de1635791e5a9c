"""Who schedules the pods, which of them form a PodGroup, and what its members must agree in."""

from __future__ import annotations

from stormc.facts.keys import Annotation, NodeLabel
from stormc.finding import Path
from stormc.model.app import Role
from stormc.rules.storm_service import StormService, Template


def gang_of(role: Role, template: Template) -> int | None:
    """The gang size of a finished template, None where it is not a number above 0."""
    text = template.annotations.get(Annotation.SCHEDULE_MIN_AVAILABLE, "")
    return int(text) if text.isascii() and text.isdigit() and int(text) > 0 else None


def gang_place(service: StormService, role: Role) -> Path:
    """The place in the spec that gives a role its gang size."""
    return service.wrote_key(role.name, "annotations", Annotation.SCHEDULE_MIN_AVAILABLE, (role.name, "minAvailable"))


HANDLER_LABELS = (NodeLabel.ACCELERATOR_TYPE, NodeLabel.HOST_ARCH)
"""The node labels by which the scheduler picks its handler, up to MindCluster 26.0."""
