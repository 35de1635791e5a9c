"""The platform's inventory has the app's hardware.

Where the platform file counts its nodes, a product that it does not name has none, and the pods stay Pending.
"""

from __future__ import annotations

from collections.abc import Iterator

from stormc.phrase import phrase
from stormc.rules.repository import Repository
from stormc.rules.rule import Example, Rule, Subject, Violation


def check(repository: Repository) -> Iterator[Violation]:
    by_directory = {inventory.directory: inventory for inventory in repository.inventories}
    for number, app in enumerate(repository.apps):
        inventory = by_directory.get(app.inventory or "")
        if inventory and inventory.marks.keys() != inventory.npus.keys():
            continue  # E207: the file names a product that no profile describes, perhaps this one
        if inventory and app.hardware not in inventory.npus:
            yield Violation(
                ("hardware",),
                phrase("{file} counts no nodes of {hardware}", file=inventory.file, hardware=app.hardware),
                phrase("add them to the inventory"),
                app=number,
            )


RULE = Rule(
    "W067", __doc__, check,
    source="docs/spec.md, inventory",
    bad=(
        Example(at="hardware", platform="""
            inventory:
              atlas-800i-a2:
                nodes: 3
            """),
    ),
    instead=(
        Example(platform="""
            inventory:
              atlas-900-a3-superpod:
                nodes: 8
            """),
    ),
    subject=Subject.REPOSITORY,
)  # fmt: skip
