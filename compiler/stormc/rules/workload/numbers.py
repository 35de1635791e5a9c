"""An override does not change replicas or podGroupSize of prefill and decode.

Services, gang size, ranks and the proxy's topology are made from the spec: pods that an override adds get no
traffic, those that it takes away are missing from their gang, which then never starts.
"""

from __future__ import annotations

from collections.abc import Iterator

from stormc.phrase import phrase
from stormc.rules.rule import Example, Rule, Subject, Violation
from stormc.rules.storm_service import StormService


def check(service: StormService) -> Iterator[Violation]:
    for role, template in service.serving:
        for field, expected in (("replicas", role.replicas), ("podGroupSize", role.pod_group_size)):
            if template.entry.get(field, 1) != expected:
                path = service.wrote_role(role.name, (field,), ("overrides",))
                yield Violation(
                    path,
                    phrase(
                        "{role} has {field} {number}, its Services and gang are made for {wanted}",
                        role=role.name,
                        field=field,
                        number=template.entry.get(field, 1),
                        wanted=expected,
                    ),
                    phrase("set {role}.{field} instead", role=role.name, field=field),
                )


RULE = Rule(
    "E072", __doc__, check,
    source="docs/architecture.md, passes scheduling and proxy; AIBrix v0.5.0 podset_controller.go",
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
                      roles:
                      - name: decode
                        podGroupSize: 4
            """, at="overrides[0].patch.spec.template.spec.roles[0].podGroupSize"),
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
                      - name: prefill
                        replicas: 3
            """, at="overrides[0].patch.spec.template.spec.roles[0].replicas"),
    ),
    instead=(
        Example("""
            prefill:
              replicas: 3
            decode:
              podGroupSize: 4
              dataParallel: 64
            """),
    ),
    subject=Subject.MANIFESTS,
    only_when_overridden=True,
)  # fmt: skip
