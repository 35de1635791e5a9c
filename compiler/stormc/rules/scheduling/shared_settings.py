"""Roles that share a PodGroup agree in everything that Volcano reads from it.

Volcano merges the labels and selectors of all its pods: different fault settings become `grace|force`, which is no
setting, and switch recovery off. Where annotations, queues or priorities differ, those of an arbitrary pod count.
"""

from __future__ import annotations

from collections.abc import Iterator

from stormc.facts.keys import Annotation, Label
from stormc.finding import Path
from stormc.model.app import Role
from stormc.phrase import phrase
from stormc.rules.rule import Example, Rule, Subject, Violation
from stormc.rules.scheduling import HANDLER_LABELS
from stormc.rules.storm_service import StormService, Template

SHARED_LABELS = (
    Label.FAULT_SCHEDULING, Label.FAULT_RETRY_TIMES, Label.SUB_HEALTHY_STRATEGY, Label.POD_RESCHEDULING,
    Label.TOR_AFFINITY, Label.SUPER_POD_AFFINITY, Label.INFER_SERVICE,
)  # fmt: skip


SHARED_ANNOTATIONS = {
    Annotation.SP_BLOCK: "spBlock", Annotation.RA_BLOCK: "", Annotation.SCHEDULE_POLICY: "hardware",
    Annotation.QUEUE_NAME: "queue",
}  # fmt: skip


def check(service: StormService) -> Iterator[Violation]:
    if len(service.sharing) < 2:
        return
    (one, first), (other, second) = service.sharing[:2]
    for name, left, right, path in _shared(service, other, first, second):
        if left != right:
            yield Violation(
                path,
                phrase(
                    "{one} and {other} share a PodGroup and differ in {name}: {left} and {right}",
                    one=one.name,
                    other=other.name,
                    name=name,
                    left=left or phrase("none"),
                    right=right or phrase("none"),
                ),
                phrase("set the same in both roles"),
            )


def _shared(
    service: StormService, other: Role, first: Template, second: Template
) -> Iterator[tuple[str, str | None, str | None, Path]]:
    """Name, both values and the second one's place of every setting that a shared PodGroup has once."""
    for key in SHARED_LABELS:
        if first.labels.get(key) != second.labels.get(key):
            yield key, first.labels.get(key), second.labels.get(key), service.wrote_key(other.name, "labels", key)
    for key, field in SHARED_ANNOTATIONS.items():
        left, right = first.annotations.get(key), second.annotations.get(key)
        if left != right:
            place: Path = (other.name, field) if field else (other.name,)
            yield field or key, left, right, service.wrote_key(other.name, "annotations", key, place)
    for key in HANDLER_LABELS:
        if first.node_selector.get(key) != second.node_selector.get(key):
            path = service.wrote_key(other.name, "nodeSelector", key)
            yield key, first.node_selector.get(key), second.node_selector.get(key), path
    left, right = first.pod.get("priorityClassName"), second.pod.get("priorityClassName")
    if left != right:
        place = (other.name, "priorityClassName")
        yield "priorityClassName", left, right, service.wrote_pod(other.name, ("priorityClassName",), place)


RULE = Rule(
    "E009", __doc__, check,
    source="ascend-for-volcano plugin/job.go:152-235; volcano pg_controller_handler.go:388-424",
    bad=(
        Example("""
            prefill:
              queue: a
            decode:
              podGroupSize: 1
              dataParallel: 16
              queue: b
            """, at="decode.queue"),
        Example("""
            prefill:
              priorityClassName: high
            decode:
              podGroupSize: 1
              dataParallel: 16
            """, at="decode.priorityClassName"),
        Example("""
            decode:
              podGroupSize: 1
              dataParallel: 16
              labels:
                super-pod-affinity: soft
            """, at="decode.labels.super-pod-affinity"),
        Example("""
            prefill:
              replicas: 2
              spBlock: 16
            decode:
              podGroupSize: 1
              replicas: 2
              dataParallel: 16
              spBlock: 32
            """, at="decode.spBlock"),
        Example("""
            decode:
              podGroupSize: 1
              dataParallel: 16
            """, at="template.metadata.labels.fault-scheduling", role="decode", template="""
            metadata:
              labels:
                fault-scheduling: grace
            """),
    ),
    instead=(
        Example("""
            prefill:
              queue: a
            decode:
              queue: b
            """),
    ),
    good=(
        Example("""
            prefill:
              queue: a
            decode:
              podGroupSize: 1
              dataParallel: 16
              queue: a
            """),
    ),
    subject=Subject.MANIFESTS,
)  # fmt: skip
