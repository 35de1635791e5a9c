"""The tables of all sections, by the names under which they are checked."""

from __future__ import annotations

from stormc.model import forms, schema

TABLES: dict[str, forms.Schema] = {
    **schema.SECTIONS, "app": schema.APP, "platform": schema.PLATFORM, "profile": schema.PROFILE,
    "override": schema.OVERRIDE,
}  # fmt: skip
