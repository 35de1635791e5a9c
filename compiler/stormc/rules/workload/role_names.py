"""Roles that an override adds have short names.

The name of a role is part of its pods' names, whose 63 characters the name of the app is measured for.
"""

from __future__ import annotations

from collections.abc import Iterator

from stormc.phrase import phrase
from stormc.rules.rule import Example, Rule, Subject, Violation
from stormc.rules.storm_service import StormService

LONGEST = len("prefill")
"""The longest role name for which the limits of app names leave room in the names of pods."""


def check(service: StormService) -> Iterator[Violation]:
    for template in service.templates:
        name = template.role
        if len(name) > LONGEST:
            path = service.wrote_role(name, (), ("overrides",))
            yield Violation(
                path,
                phrase(
                    "role {name} has {length} characters, the limit is {longest}",
                    name=name,
                    length=len(name),
                    longest=LONGEST,
                ),
                phrase("shorten it"),
            )


RULE = Rule(
    "E056", __doc__, check,
    source="AIBrix v0.5.0 roleset/utils.go:98-100, podset_rollsyncer.go:388-390, issue 2562",
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
                      - name: long-name
                        replicas: 1
                        template:
                          spec:
                            containers:
                            - name: c
                              image: c:1
            """, at="overrides[0].patch.spec.template.spec.roles[0]"),
    ),
    instead=(
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
                      - name: cache
                        replicas: 1
                        template:
                          spec:
                            containers:
                            - name: c
                              image: c:1
            """),
    ),
    subject=Subject.MANIFESTS,
    only_when_overridden=True,
)  # fmt: skip
