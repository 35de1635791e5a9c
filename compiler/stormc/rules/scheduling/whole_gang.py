"""minAvailable is the whole PodGroup.

With less, Volcano starts instances of which some pods never fit: their NPUs are held and do nothing. The fault
handling of super pods also takes other paths then. Single-pod instances share one PodGroup and are whole by
themselves: there a smaller number in all of its roles is the way to scale without a restart (docs/restarts.md), until
the next change that restarts the pods anyway.
"""

from __future__ import annotations

from collections.abc import Iterator

from stormc.phrase import both, phrase
from stormc.rules.rule import Example, Rule, Subject, Violation
from stormc.rules.scheduling import gang_of, gang_place
from stormc.rules.storm_service import StormService


def check(service: StormService) -> Iterator[Violation]:
    shared: list[tuple[str, int]] = []
    for role, template in service.serving:
        pods, gang = service.app.gang(role), gang_of(role, template)
        if role.shares_pod_group and gang is not None:
            shared.append((role.name, gang))
        elif gang is not None and gang < pods:
            path = gang_place(service, role)
            yield Violation(
                path,
                phrase(
                    "{role}.minAvailable {gang} is below the {pods} pods of its PodGroup",
                    role=role.name,
                    gang=gang,
                    pods=pods,
                ),
                phrase("remove minAvailable"),
            )
    if len({gang for _, gang in shared}) == 1:  # of several numbers E005 tells
        name, gang = shared[0]
        role = next(role for role, _ in service.serving if role.name == name)
        pods = service.app.gang(role)
        if gang < pods:
            roles = both(name for name, _ in shared)
            message = phrase(
                "minAvailable {gang} of {roles} is below the {pods} pods of their PodGroup",
                gang=gang,
                roles=roles,
                pods=pods,
            )
            yield Violation(
                gang_place(service, role),
                message,
                phrase("keep it while it saves a restart; remove it with the next change that restarts these pods"),
            )


RULE = Rule(
    "W005", __doc__, check,
    source="ascend-for-volcano plugin/job.go:633-639",
    bad=(
        Example("""
            decode:
              minAvailable: 1
            """, at="decode.minAvailable"),
        Example("""
            prefill:
              minAvailable: 2
            decode:
              podGroupSize: 1
              dataParallel: 16
              minAvailable: 2
            """, at="prefill.minAvailable"),
    ),
    instead=(
        Example("""
            decode:
              minAvailable: 2
            """),
    ),
    subject=Subject.MANIFESTS,
)  # fmt: skip
