"""inferserviceid is for the super pods of the 850 and 950 series, from MindCluster 26.1 on.

Only their handlers read it, to place the pods of a service in one super pod or rack; elsewhere it has no effect.
"""

from __future__ import annotations

from collections.abc import Iterator

from stormc.facts.keys import Label
from stormc.phrase import phrase
from stormc.rules.rule import Example, Rule, Subject, Violation
from stormc.rules.storm_service import StormService


def check(service: StormService) -> Iterator[Violation]:
    if service.app.profile.schedule_policy in service.platform.mindcluster.infer_service_policies:
        return
    for template in service.templates:
        if Label.INFER_SERVICE in template.labels:
            path = service.wrote_key(template.role, "labels", Label.INFER_SERVICE)
            where = f"{service.app.profile.name} with MindCluster {service.platform.mindcluster}"
            yield Violation(
                path, phrase("inferserviceid has no effect on {where}", where=where), phrase("remove it"), at_key=True
            )


RULE = Rule(
    "W045", __doc__, check,
    source="mind-cluster 26.1 ascend-for-volcano internal/npu/base/inferservice/infer_service.go",
    bad=(
        Example("""
            hardware: atlas-800i-a3
            prefill:
              tensorParallel: 8
              labels:
                inferserviceid: a
            """, at="prefill.labels.inferserviceid"),
    ),
    instead=(
        Example("""
            hardware: atlas-850-superpod
            prefill:
              replicas: 1
              dataParallel: 1
              spBlock: 8
              labels:
                inferserviceid: a
            decode:
              dataParallel: 16
              spBlock: 16
              labels:
                inferserviceid: a
            """, platform="mindcluster: '26.1'"),
    ),
    subject=Subject.MANIFESTS,
)  # fmt: skip
