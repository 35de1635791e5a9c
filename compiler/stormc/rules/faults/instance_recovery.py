"""An instance of several pods restarts as a whole.

With pod-rescheduling or recover_policy_path only the faulty pod is replaced, and its peers keep a dead
communication group: the instance hangs instead of recovering.
"""

from __future__ import annotations

from collections.abc import Iterator

from stormc.facts.keys import Annotation, Label
from stormc.phrase import phrase
from stormc.rules.rule import Example, Rule, Subject, Violation
from stormc.rules.storm_service import StormService


def check(service: StormService) -> Iterator[Violation]:
    for role, template in service.serving:
        if role.shares_pod_group:
            continue
        for table, keys, key in (
            ("labels", template.labels, Label.POD_RESCHEDULING),
            ("annotations", template.annotations, Annotation.RECOVER_POLICY_PATH),
        ):
            if key in keys:
                path = service.wrote_key(role.name, table, key)
                message = phrase(
                    "{role} has podGroupSize {pod_group_size} and {key}",
                    role=role.name,
                    pod_group_size=role.pod_group_size,
                    key=key,
                )
                yield Violation(path, message, phrase("remove it"), at_key=True)


RULE = Rule(
    "E007", __doc__, check,
    source="ascend-for-volcano internal/rescheduling/job.go:416-454; MindCluster guide, instance rescheduling",
    bad=(
        Example(at="template.metadata.labels.pod-rescheduling", role="decode", template="""
            metadata:
              labels:
                pod-rescheduling: 'on'
            """),
    ),
    instead=(
        Example("""
            decode:
              podGroupSize: 1
              dataParallel: 16
            """),
    ),
    good=(
        Example(role="prefill", template="""
            metadata:
              labels:
                pod-rescheduling: 'on'
            """),
    ),
    subject=Subject.MANIFESTS,
    only_when_overridden=True,
)  # fmt: skip
