"""An override writes no key that a controller writes.

AIBrix overwrites its labels on pods of their own but lets a template's win inside a PodSet, where a wrong role-name
takes the pod out of its Service; the scheduler reads its annotations back as the placement of the pod. An
environment variable of AIBrix's is dropped, or stands there twice.
"""

from __future__ import annotations

from collections.abc import Iterator

from stormc.facts.known_keys import NOUNS, Use
from stormc.phrase import phrase
from stormc.rules.rule import Example, Rule, Subject, Violation
from stormc.rules.storm_service import StormService
from stormc.rules.vocabulary import known_as


def check(service: StormService) -> Iterator[Violation]:
    controllers = known_as(Use.CONTROLLER)
    for template in service.templates:
        for table, keys in (("labels", template.labels), ("annotations", template.annotations)):
            for key in [key for key in keys if key in controllers[table]]:
                path = service.wrote_key(template.role, table, key)
                if path[0] == "overrides":
                    yield Violation(
                        path,
                        phrase(
                            "{noun} {key} is written by {known}",
                            noun=NOUNS[table],
                            key=key,
                            known=controllers[table][key].text,
                        ),
                        phrase("remove it"),
                        at_key=True,
                    )
        for container, name, _ in template.environment:
            if name in controllers["env"]:
                path = service.wrote_env(template.role, container, name)
                if path[0] == "overrides":
                    yield Violation(
                        path,
                        phrase(
                            "{noun} {key} is written by {known}",
                            noun=NOUNS["env"],
                            key=name,
                            known=controllers["env"][name].text,
                        ),
                        phrase("remove it"),
                    )


RULE = Rule(
    "E053", __doc__, check,
    source="AIBrix v0.5.0 pkg/controller/constants/stormservice.go:19-47, podset_controller.go:373-377",
    bad=(
        Example(at="template.metadata.labels.role-name", role="decode", template="""
            metadata:
              labels:
                role-name: d
            """),
        Example(at="template.spec.containers[0].env[0]", role="routing", template="""
            spec:
              containers:
              - name: router
                env:
                - name: ROLE_NAME
                  value: x
            """),
    ),
    instead=(
        Example("""
            decode:
              labels:
                team: search
            """),
    ),
    subject=Subject.MANIFESTS,
    only_when_overridden=True,
)  # fmt: skip
