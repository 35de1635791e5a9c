"""The StormService has no schedulingStrategy: volcano-controller makes the PodGroups.

AIBrix v0.5.0 marks its pods with a group that Volcano does not read; later releases make PodGroups without the NPU
demand and with another minMember, and MindCluster then ignores the gang size. Installed by Helm, AIBrix may not
even create them, and no pod starts.
"""

from __future__ import annotations

from collections.abc import Iterator

from stormc.phrase import phrase
from stormc.rules.rule import Example, Rule, Subject, Violation
from stormc.rules.storm_service import StormService


def check(service: StormService) -> Iterator[Violation]:
    spec = service.manifest["spec"]["template"].get("spec", {})
    if "schedulingStrategy" in spec:
        path = service.wrote(("spec", "template", "spec", "schedulingStrategy"), ())
        yield Violation(
            path,
            phrase("schedulingStrategy replaces the PodGroups that MindCluster reads"),
            phrase("remove it"),
            at_key=True,
        )
    for template in service.templates:
        if "schedulingStrategy" in template.entry:
            path = service.wrote_role(template.role, ("schedulingStrategy",), ())
            yield Violation(
                path,
                phrase("schedulingStrategy replaces the PodGroups that MindCluster reads"),
                phrase("remove it"),
                at_key=True,
            )


RULE = Rule(
    "E004", __doc__, check,
    source="MindCluster guide, StormService; AIBrix constants/stormservice.go, issue 1794",
    bad=(
        Example("""
            overrides:
            - target: StormService
              reason: a trial
              owner: team-a
              patch:
                spec:
                  template:
                    spec:
                      schedulingStrategy:
                        volcanoSchedulingStrategy:
                          minMember: 2
            """, at="overrides[0].patch.spec.template.spec.schedulingStrategy"),
        Example("""
            overrides:
            - target: StormService
              reason: a trial
              owner: team-a
              patch:
                spec:
                  template:
                    spec:
                      roles:
                      - name: decode
                        schedulingStrategy:
                          volcanoSchedulingStrategy:
                            minMember: 2
            """, at="overrides[0].patch.spec.template.spec.roles[0].schedulingStrategy"),
    ),
    instead=(
        Example("""
            decode:
              minAvailable: 2
            """),
    ),
    subject=Subject.MANIFESTS,
    only_when_overridden=True,
)  # fmt: skip
