"""No key of training jobs or of another serving system stands on a pod.

`process-recover-enable: on` makes Volcano delete the faulty pod alone, though its peers hold a dead communication
group; the labels of OME and MindIE switch every fault to pod-only rescheduling (rescheduling/job.go:919-928).
"""

from __future__ import annotations

from collections.abc import Iterator

from stormc.facts.known_keys import NOUNS, Use
from stormc.phrase import phrase
from stormc.rules.rule import Example, Rule, Subject, Violation
from stormc.rules.storm_service import StormService, environment
from stormc.rules.vocabulary import of_use


def check(service: StormService) -> Iterator[Violation]:
    for template in service.templates:
        for table, keys in (("labels", template.labels), ("annotations", template.annotations)):
            for key, known in of_use(table, keys, Use.FOREIGN):
                path = service.wrote_key(template.role, table, key)
                yield Violation(
                    path,
                    phrase("{noun} {key} is not for inference", noun=NOUNS[table], key=key),
                    known.reason,
                    at_key=True,
                )
        for container, name, _ in environment(template):
            for _, known in of_use("env", (name,), Use.FOREIGN):
                path = service.wrote_env(template.role, container, name)
                yield Violation(
                    path,
                    phrase("environment variable {name} is not for inference", name=name),
                    known.reason,
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
