"""No key of training jobs or of another serving system stands on a pod.

`process-recover-enable: on` makes Volcano delete the faulty pod alone, though its peers hold a dead communication
group; the labels of OME and MindIE switch every fault to pod-only rescheduling (rescheduling/job.go:919-928).
"""

from __future__ import annotations

from collections.abc import Iterator

from stormc.facts.known_keys import NOUNS, Use
from stormc.phrase import phrase
from stormc.rules.rule import Example, Rule, Subject, Violation
from stormc.rules.storm_service import StormService
from stormc.rules.vocabulary import known_as


def check(service: StormService) -> Iterator[Violation]:
    foreign = known_as(Use.FOREIGN)
    for template in service.templates:
        for table, keys in (("labels", template.labels), ("annotations", template.annotations)):
            for key in [key for key in keys if key in foreign[table]]:
                path = service.wrote_key(template.role, table, key)
                yield Violation(
                    path,
                    phrase("{noun} {key} is not for inference", noun=NOUNS[table], key=key),
                    foreign[table][key].reason,
                    at_key=True,
                )
        for container, name, _ in template.environment:
            if name in foreign["env"]:
                path = service.wrote_env(template.role, container, name)
                yield Violation(
                    path,
                    phrase("environment variable {name} is not for inference", name=name),
                    foreign["env"][name].reason,
                    at_key=True,
                )


RULE = Rule(
    "E032", __doc__, check,
    source="ascend-for-volcano internal/rescheduling/job.go:446-448, 529-531, 919-928",
    bad=(
        Example("""
            decode:
              labels:
                process-recover-enable: 'on'
            """, at="decode.labels.process-recover-enable"),
        Example("""
            decode:
              annotations:
                recover-strategy: retry
            """, at="decode.annotations.recover-strategy"),
        Example("""
            decode:
              labels:
                ome.io/inferenceservice: x
            """, at="decode.labels.ome.io/inferenceservice"),
        Example("""
            decode:
              labels:
                huawei.com/scheduler.softShareDev.policy: elastic
            """, at="decode.labels.huawei.com/scheduler.softShareDev.policy"),
        Example("""
            decode:
              env:
                ProcessRecoverStrategy: x
            """, at="decode.env.ProcessRecoverStrategy"),
    ),
    instead=(
        Example("""
            decode:
              labels:
                ring-controller.atlas: ascend-910b
            """),
    ),
    subject=Subject.MANIFESTS,
)  # fmt: skip
