"""All apps together leave the nodes in reserve alone.

The scheduler keeps some nodes of each super pod free (reserveNodes of a platform file, 2 by default) and gives them
away only where nothing else fits. What takes them leaves no node to which a gang could be rescheduled after a fault.
The app in which the sum first reaches into the reserve is reported, in file order.
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
            if app.inventory != inventory.directory or not inventory.reserved.get(app.hardware):
                continue
            before = demand[app.hardware]
            demand[app.hardware] = after = before + app.npus
            every, reserve = inventory.npus[app.hardware], inventory.reserved[app.hardware]
            if before <= every - reserve < after <= every:
                place = f"{inventory.file}:{inventory.marks[app.hardware].line}"
                yield Violation(
                    ("hardware",),
                    phrase(
                        "{app} takes the last {free} NPUs of {hardware} in {place} "
                        "and {taken} of the {reserve} in reserve",
                        app=app.name,
                        free=every - reserve - before,
                        hardware=app.hardware,
                        place=place,
                        taken=after - every + reserve,
                        reserve=reserve,
                    ),
                    phrase(
                        "use fewer NPUs, or write the scheduler's own reserve as reserveNodes into the platform file"
                    ),
                    app=number,
                )


RULE = Rule(
    "W068", __doc__, check,
    source="ascend-for-volcano superpod/frame.go selectFromSuperPodsWithReserve, build/volcano-v1.12.0.yaml",
    bad=(
        Example(at="hardware", platform="""
            inventory:
              atlas-900-a3-superpod:
                nodes: 5
            """),
    ),
    instead=(
        Example(platform="""
            inventory:
              atlas-900-a3-superpod:
                nodes: 6
            """),
        Example(platform="""
            reserveNodes: 0
            inventory:
              atlas-900-a3-superpod:
                nodes: 4
            """),
    ),
    subject=Subject.REPOSITORY,
)  # fmt: skip
