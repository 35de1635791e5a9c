"""Logical super pods: what sp-block may be, and where."""

from __future__ import annotations

from collections.abc import Iterator

from stormc.facts.keys import Annotation
from stormc.finding import Path
from stormc.model.app import App, Role
from stormc.rules.storm_service import StormService


def blocks(service: StormService) -> Iterator[tuple[Role, str, Path]]:
    """Role, value and place of every sp-block."""
    for role, template in service.serving:
        value = template.annotations.get(Annotation.SP_BLOCK)
        if value is not None:
            yield role, value, service.wrote_key(role.name, "annotations", Annotation.SP_BLOCK, (role.name, "spBlock"))


def without_block(app: App) -> list[Role]:
    """The serving roles without spBlock, on products with super pods."""
    return [role for role in app.serving_roles if app.profile.super_pod and role.sp_block is None]
