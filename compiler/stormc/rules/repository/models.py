"""One model name behind the gateway belongs to one app.

AIBrix's gateway knows models by name alone, in all namespaces: two apps of one name, such as staging and
production, answer each other's requests, and a prefill of one is never paired with a decode of the other.
"""

from __future__ import annotations

from collections.abc import Iterator

from stormc.model.summary import Summary
from stormc.phrase import phrase
from stormc.rules.repository import Repository
from stormc.rules.rule import Example, Rule, Subject, Violation


def check(repository: Repository) -> Iterator[Violation]:
    first: dict[tuple[str, str], Summary] = {}
    for number, app in enumerate(repository.apps):
        if not app.model:
            continue
        other = first.setdefault((app.cluster, app.model), app)
        if (other.namespace, other.name) != (app.namespace, app.name):  # a namesake is E301
            yield Violation(
                ("model", "name"),
                phrase(
                    "model {model} of {namespace}/{app} is also served by {other_namespace}/{other}",
                    model=app.model,
                    namespace=app.namespace,
                    app=app.name,
                    other_namespace=other.namespace,
                    other=other.name,
                ),
                phrase("rename one of the models, or set gateway: off in one"),
                app=number,
            )


RULE = Rule(
    "W066", __doc__, check,
    source="AIBrix v0.5.0 pkg/cache/informers.go:96-124, pd_disaggregation.go:212-216",
    bad=(
        Example("""
            namespace: production
            """, at="model.name", beside=("""
            name: twin
            namespace: staging
            """,)),
    ),
    instead=(
        Example("""
            namespace: production
            """, beside=("""
            name: twin
            namespace: staging
            gateway: 'off'
            """,)),
    ),
    subject=Subject.REPOSITORY,
)  # fmt: skip
