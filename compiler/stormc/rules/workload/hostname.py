"""An override sets neither hostname nor subdomain of a pod.

The controller sets both for every pod, whatever the template says.
"""

from __future__ import annotations

from collections.abc import Iterator

from stormc.phrase import phrase
from stormc.rules.rule import Example, Rule, Subject, Violation
from stormc.rules.storm_service import StormService


def check(service: StormService) -> Iterator[Violation]:
    for template in service.templates:
        for field in ("hostname", "subdomain"):
            if field in template.pod:
                path = service.wrote_pod(template.role, (field,), ())
                yield Violation(
                    path,
                    phrase("{field} of {role} is overwritten by AIBrix", field=field, role=template.role),
                    phrase("remove it"),
                    at_key=True,
                )


RULE = Rule(
    "W064", __doc__, check,
    source="AIBrix v0.5.0 roleset/utils.go:98-147, podset_controller.go:362",
    bad=(
        Example(at="template.spec.hostname", role="decode", template="""
            spec:
              hostname: d
            """),
    ),
    instead=(
        Example(role="decode", template="""
            spec:
              dnsPolicy: Default
            """),
    ),
    subject=Subject.MANIFESTS,
    only_when_overridden=True,
)  # fmt: skip
