"""An environment variable has one source.

A patch adds its value to the valueFrom that is there. The StormService is accepted with both; its pods are not.
"""

from __future__ import annotations

from collections.abc import Iterator

from stormc.phrase import both, phrase
from stormc.rules.pods import containers, wrote
from stormc.rules.rule import Example, Rule, Subject, Violation
from stormc.rules.storm_service import StormService


def check(service: StormService) -> Iterator[Violation]:
    for template, kind, container in containers(service):
        for entry in container.get("env") or ():
            sources = [key for key in ("value", *(entry.get("valueFrom") or ())) if key in entry or key != "value"]
            if len(sources) > 1:
                path = wrote(service, template, kind, container["name"], "env", (entry["name"],))
                yield Violation(
                    path,
                    phrase(
                        "{entry} of {role} has {sources}",
                        entry=entry["name"],
                        role=template.role,
                        sources=both(sources),
                    ),
                    phrase("keep one, and set the others to null"),
                )


RULE = Rule(
    "E075", __doc__, check,
    source="Kubernetes core/v1 validation of pods; AIBrix CRD v0.5.0 does not check it",
    bad=(
        Example(at="template.spec.containers[0].env[0]", role="decode", template="""
            spec:
              containers:
              - name: decode
                env:
                - name: HCCL_IF_IP
                  value: 10.0.0.1
            """),
    ),
    instead=(
        Example(role="decode", template="""
            spec:
              containers:
              - name: decode
                env:
                - name: HCCL_IF_IP
                  value: 10.0.0.1
                  valueFrom: null
            """),
    ),
    subject=Subject.MANIFESTS,
    only_when_overridden=True,
)  # fmt: skip
