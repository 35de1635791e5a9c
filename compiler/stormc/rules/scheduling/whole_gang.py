"""minAvailable is the whole PodGroup.

With less, Volcano starts instances of which some pods never fit: their NPUs are held and do nothing. The fault
handling of super pods also takes other paths then.
"""

from __future__ import annotations

from collections.abc import Iterator

from stormc.rules.rule import Example, Rule, Subject, Violation
from stormc.rules.scheduling import gang_of, gang_place
from stormc.rules.storm_service import StormService


def check(service: StormService) -> Iterator[Violation]:
    for role, template in service.serving:
        pods, gang = service.app.gang(role), gang_of(role, template)
        if gang is not None and gang < pods:
            path = gang_place(service, role)
            yield Violation(path, f"{role.name}.minAvailable {gang} is below the {pods} pods of its PodGroup",
                            "remove minAvailable")  # fmt: skip


RULE = Rule(
    "W005", __doc__, check,
    source="ascend-for-volcano plugin/job.go:633-639",
    bad=(
        Example("""
            decode:
              minAvailable: 1
            """, at="decode.minAvailable"),
    ),
    instead=(
        Example("""
            decode:
              minAvailable: 2
            """),
    ),
    subject=Subject.MANIFESTS,
)  # fmt: skip
