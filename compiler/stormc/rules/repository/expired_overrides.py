"""An override is renewed or removed when it expires.

It was meant to be temporary. Whoever answers for it decides whether what it works around still exists.
"""

from __future__ import annotations

from collections.abc import Iterator

from stormc.phrase import phrase
from stormc.rules.repository import Repository
from stormc.rules.rule import Example, Rule, Subject, Violation


def check(repository: Repository) -> Iterator[Violation]:
    for number, app in enumerate(repository.apps):
        for index, day in app.expiries:
            if day <= repository.today:
                yield Violation(
                    ("overrides", index, "expires"),
                    phrase("overrides[{index}] of {app} expired on {day}", index=index, app=app.name, day=day),
                    phrase("remove the override, or set a later day"),
                    app=number,
                )


RULE = Rule(
    "W046", __doc__, check,
    source="docs/spec.md, overrides",
    bad=(
        Example("""
            overrides:
            - target: Service
              reason: a trial
              owner: team-a
              expires: '2020-01-31'
              patch:
                spec:
                  type: NodePort
            """, at="overrides[0].expires"),
    ),
    instead=(
        Example("""
            overrides:
            - target: Service
              reason: a trial
              owner: team-a
              expires: '9999-12-31'
              patch:
                spec:
                  type: NodePort
            """),
    ),
    subject=Subject.REPOSITORY,
)  # fmt: skip
