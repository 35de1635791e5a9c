"""What no app shows alone: apps that take each other's names, models, ports or NPUs, and overrides past their day.

These rules see a summary per app, which the render remembers of unchanged apps, so they cost the same in a repository
of thousands whatever was edited.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from stormc.finding import Mark
from stormc.model.summary import Summary
from stormc.record import NamedTuple


class Inventory(NamedTuple):
    """The NPUs that a platform file says its apps share, per hardware profile, and where it says so.

    `reserved` are those that the scheduler keeps in reserve, part of `npus`.
    """

    directory: str
    file: str
    npus: Mapping[str, int]
    marks: Mapping[str, Mark]
    reserved: Mapping[str, int] = {}


class Repository(NamedTuple):
    """All apps that a run knows of, in file order, the platforms' inventories, and the day of the run."""

    apps: Sequence[Summary]
    inventories: Sequence[Inventory]
    today: str
