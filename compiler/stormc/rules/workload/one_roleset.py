"""A StormService has one RoleSet, and its roles are stateful.

MindCluster supports replicas 1 only: every further RoleSet is a shared PodGroup of its own. Pods of a stateless
role have no index, so no Service leads to them.
"""

from __future__ import annotations

from collections.abc import Iterator

from stormc.phrase import phrase
from stormc.rules.rule import Example, Rule, Subject, Violation
from stormc.rules.storm_service import StormService


def check(service: StormService) -> Iterator[Violation]:
    if service.manifest["spec"].get("replicas") != 1:
        path = service.wrote(("spec", "replicas"), ())
        yield Violation(
            path, phrase("spec.replicas of the StormService is not 1"), phrase("set replicas of a role instead")
        )
    for role, template in service.serving:
        if not template.entry.get("stateful"):
            path = service.wrote_role(role.name, ("stateful",), ())
            yield Violation(path, phrase("role {role} is not stateful", role=role.name), phrase("keep stateful: true"))


RULE = Rule(
    "E003", __doc__, check,
    source="MindCluster guide, StormService sample; AIBrix v0.5.0 roleset/utils.go:98-102",
    bad=(
        Example("""
            overrides:
            - target: StormService
              reason: a trial
              owner: team-a
              patch:
                spec:
                  replicas: 2
            """, at="overrides[0].patch.spec.replicas"),
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
                        stateful: null
            """, at="overrides[0].patch.spec.template.spec.roles[0].stateful"),
    ),
    instead=(
        Example("""
            decode:
              replicas: 2
            """),
    ),
    subject=Subject.MANIFESTS,
    only_when_overridden=True,
)  # fmt: skip
