"""No app has the name of a Service of another app.

AIBrix makes a headless Service of each StormService's name and overwrites one that exists; it cannot turn a
ClusterIP Service headless, and then creates no pods and writes no status at all.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from stormc.phrase import phrase
from stormc.rules.repository import Repository
from stormc.rules.rule import Example, Rule, Subject, Violation

_SERVICE = r"(.+)-(?:router|(?:prefill|decode)-\d+(?:-\d+)?)"


def check(repository: Repository) -> Iterator[Violation]:
    names = {(app.cluster, app.namespace, app.name) for app in repository.apps}
    for number, app in enumerate(repository.apps):
        match = re.fullmatch(_SERVICE, app.name) if "-" in app.name else None
        if match and (app.cluster, app.namespace, match[1]) in names:
            yield Violation(
                ("name",),
                phrase("name {app} may be that of a Service of app {match}", app=app.name, match=match[1]),
                phrase("rename the app"),
                app=number,
            )


RULE = Rule(
    "E070", __doc__, check,
    source="AIBrix v0.5.0 pkg/controller/stormservice/sync.go:73-113",
    bad=(
        Example("""
            name: moe-prefill-0
            """, at="name", beside=("""
            name: moe
            gateway: 'off'
            """,)),
    ),
    instead=(
        Example("""
            name: moe-prefill
            """, beside=("""
            name: moe
            gateway: 'off'
            """,)),
    ),
    subject=Subject.REPOSITORY,
)  # fmt: skip
