"""All apps together fit the platform's inventory.

Volcano enqueues a PodGroup only when its NPUs are free; what does not fit stays Pending, and which app that hits is
chance. The app in which the sum first exceeds the inventory is reported, in file order.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from stormc.phrase import phrase
from stormc.rules.repository import Repository
from stormc.rules.rule import Example, Rule, Subject, Violation


def check(repository: Repository) -> Iterator[Violation]:
    for inventory in repository.inventories:
        demand: dict[str, int] = defaultdict(int)
        for number, app in enumerate(repository.apps):
            if app.inventory != inventory.directory or app.hardware not in inventory.npus:
                continue
            before = demand[app.hardware]
            demand[app.hardware] = after = before + app.npus
            most = inventory.npus[app.hardware]
            if before <= most < after:
                place = f"{inventory.file}:{inventory.marks[app.hardware].line}"
                yield Violation(
                    ("hardware",),
                    phrase(
                        "{app} needs {npus} NPUs of {hardware}, {left} of the {most} in {place} are left",
                        app=app.name,
                        npus=app.npus,
                        hardware=app.hardware,
                        left=most - before,
                        most=most,
                        place=place,
                    ),
                    phrase("use fewer NPUs, or correct the inventory"),
                    app=number,
                )


RULE = Rule(
    "E067", __doc__, check,
    source="ascend-for-volcano npu.go:444-475",
    bad=(
        Example(at="hardware", platform="""
            inventory:
              atlas-900-a3-superpod:
                nodes: 3
            """),
        Example(at="hardware", platform="""
            inventory:
              atlas-900-a3-superpod:
                nodes: 7
            """, beside=("""
            name: twin
            gateway: 'off'
            """,)),
    ),
    instead=(
        Example(platform="""
            inventory:
              atlas-900-a3-superpod:
                nodes: 10
            """, beside=("""
            name: twin
            gateway: 'off'
            """,)),
    ),
    subject=Subject.REPOSITORY,
)  # fmt: skip
