"""A key stands where it is read.

Some keys are read on a PodGroup, a StormService or in the scheduler's configuration only, others as a label and not
as an annotation, some from a later release of MindCluster on. Anywhere else they are ignored, and what was meant to
be switched on stays off.
"""

from __future__ import annotations

from collections.abc import Iterator

from stormc.facts.known_keys import NOUNS, TABLES, Use
from stormc.load.releases import version
from stormc.phrase import phrase
from stormc.rules.rule import Example, Rule, Subject, Violation
from stormc.rules.storm_service import StormService
from stormc.rules.vocabulary import known_as, right_table


def check(service: StormService) -> Iterator[Violation]:
    elsewhere = known_as(Use.ELSEWHERE)
    for template in service.templates:
        for table, keys in (("labels", template.labels), ("annotations", template.annotations)):
            for key in [key for key in keys if key in elsewhere[table]]:
                path = service.wrote_key(template.role, table, key)
                yield Violation(
                    path,
                    phrase("{noun} {key} has no effect on a pod", noun=NOUNS[table], key=key),
                    elsewhere[table][key].reason,
                    at_key=True,
                )
            for key in keys:
                entry = TABLES[table].get(key)
                since = entry.since if entry else ""
                if since and version(service.platform.mindcluster.release) < version(since):
                    yield _too_early(service, template.role, table, key, since)
                other_table = None if entry else right_table(table, key)
                if other_table:
                    path = service.wrote_key(template.role, table, key)
                    yield Violation(
                        path,
                        phrase("{key} has no effect as {table}", key=key, table=_an(table)),
                        phrase("it is read as {other}", other=_an(other_table)),
                        at_key=True,
                    )


def _too_early(service: StormService, role: str, table: str, key: str, since: str) -> Violation:
    release = service.platform.mindcluster
    text = phrase("{noun} {key} has no effect with MindCluster {release}", noun=NOUNS[table], key=key, release=release)
    hint = phrase("remove it: MindCluster {since} is the first release that reads it", since=since)
    return Violation(service.wrote_key(role, table, key), text, hint, at_key=True)


def _an(table: str) -> str:
    return phrase("an {noun}", noun=NOUNS[table]) if table == "annotations" else phrase("a {noun}", noun=NOUNS[table])


RULE = Rule(
    "W034", __doc__, check,
    source="MindCluster docs 06_api/15_yaml_configuration.md; ascend-for-volcano npu.go:608-632, plugin/job.go:212-235",
    bad=(
        Example("""
            decode:
              annotations:
                huawei.com/schedule_enable_dequeue: 'on'
            """, at="decode.annotations.huawei.com/schedule_enable_dequeue"),
        Example("""
            decode:
              labels:
                sp-block: '16'
            """, at="decode.labels.sp-block"),
        Example("""
            decode:
              annotations:
                fault-scheduling: force
            """, at="decode.annotations.fault-scheduling"),
        Example("""
            routing:
              annotations:
                model.aibrix.ai/sidecar-injection: 'false'
            """, at="routing.annotations.model.aibrix.ai/sidecar-injection"),
        Example("""
            decode:
              annotations:
                scheduling.volcano.sh/group-min-member: '2'
            """, at="decode.annotations.scheduling.volcano.sh/group-min-member"),
        Example("""
            decode:
              labels:
                accelerator-type: module-a3-16
            """, at="decode.labels.accelerator-type"),
        Example("""
            decode:
              annotations:
                huawei.com/affinity-config: level1=2,level2=4
            """, at="decode.annotations.huawei.com/affinity-config"),
    ),
    instead=(
        Example("""
            decode:
              annotations:
                huawei.com/skip-ascend-plugin: enabled
            """),
    ),
    subject=Subject.MANIFESTS,
)  # fmt: skip
