"""With retries, restartPolicy is Never.

Volcano retries pods that have failed. A kubelet that restarts the container keeps the pod from failing, and inside
a group of pods the restarted process never joins its peers again.
"""

from __future__ import annotations

from collections.abc import Iterator

from stormc.phrase import phrase
from stormc.rules.faults import asks_for_retries
from stormc.rules.rule import Example, Rule, Subject, Violation
from stormc.rules.storm_service import StormService


def check(service: StormService) -> Iterator[Violation]:
    for role, template in service.serving:
        policy = template.pod.get("restartPolicy", "Always")
        if asks_for_retries(template) and policy in ("Always", "OnFailure"):
            path = service.wrote_pod(role.name, ("restartPolicy",), ("faults", "retries"))
            yield Violation(
                path,
                phrase(
                    "{role} has restartPolicy {policy} and fault-retry-times above 0", role=role.name, policy=policy
                ),
                phrase("keep restartPolicy: Never, or set faults.retries: 0"),
            )


RULE = Rule(
    "E012", __doc__, check,
    source="MindCluster guide, parameter table, fault-retry-times; "
    "ascend-for-volcano internal/rescheduling/job.go:580-600",
    bad=(
        Example(at="template.spec.restartPolicy", role="decode", template="""
            spec:
              restartPolicy: Always
            """),
        Example(at="template.spec.restartPolicy", role="decode", template="""
            spec:
              restartPolicy: null
            """),
    ),
    instead=(
        Example("""
            faults:
              retries: 0
            """, role="decode", template="""
            spec:
              restartPolicy: OnFailure
            """),
    ),
    subject=Subject.MANIFESTS,
    only_when_overridden=True,
)  # fmt: skip
