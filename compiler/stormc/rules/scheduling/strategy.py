"""No schedulingStrategy: volcano-controller makes the PodGroups.

AIBrix v0.5.0 marks its pods with a group that Volcano does not read; later releases make PodGroups without the NPU
demand and with another minMember, and MindCluster then ignores the gang size. Installed by Helm, AIBrix may not
even create them, and no pod starts.
"""

from __future__ import annotations

from collections.abc import Iterator

from stormc.rules.finished import Finished
from stormc.rules.rule import Example, Rule, Sees, Violation


def check(finished: Finished) -> Iterator[Violation]:
    spec = finished.storm["spec"]["template"].get("spec", {})
    if "schedulingStrategy" in spec:
        path = finished.wrote(("spec", "template", "spec", "schedulingStrategy"), ())
        yield Violation(path, "schedulingStrategy replaces the PodGroups that MindCluster reads", "remove it", True)
    for template in finished.templates:
        if "schedulingStrategy" in template.entry:
            path = finished.wrote_role(template.role, ("schedulingStrategy",), ())
            yield Violation(path, "schedulingStrategy replaces the PodGroups that MindCluster reads", "remove it", True)


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
    good=(
        Example(role="decode", template="""
            metadata:
              labels:
                a: b
            """),
    ),
    sees=Sees.MANIFESTS,
    only_when_overridden=True,
)  # fmt: skip
