"""A volume has one source.

A patch adds its source to the one that is there. The StormService is accepted with both; its pods are not.
"""

from __future__ import annotations

from collections.abc import Iterator

from stormc.phrase import both, phrase
from stormc.rules.rule import Example, Rule, Subject, Violation
from stormc.rules.storm_service import StormService


def check(service: StormService) -> Iterator[Violation]:
    for template in service.templates:
        for volume in template.pod.get("volumes") or ():
            sources = sorted(volume.keys() - {"name"})
            if len(sources) > 1:
                path = service.wrote_pod(template.role, ("volumes", (volume["name"],)), ("overrides",))
                yield Violation(
                    path,
                    phrase(
                        "volume {volume} of {role} has {sources}",
                        volume=volume["name"],
                        role=template.role,
                        sources=both(sources),
                    ),
                    phrase("keep one, and set the others to null"),
                )


RULE = Rule(
    "E078", __doc__, check,
    source="Kubernetes core/v1 validation of pods; AIBrix CRD v0.5.0 does not check it",
    bad=(
        Example(at="template.spec.volumes[0]", role="decode", template="""
            spec:
              volumes:
              - name: model
                nfs:
                  server: a
                  path: /b
            """),
    ),
    instead=(
        Example(role="decode", template="""
            spec:
              volumes:
              - name: model
                nfs:
                  server: a
                  path: /b
                hostPath: null
            """),
    ),
    subject=Subject.MANIFESTS,
    only_when_overridden=True,
)  # fmt: skip
