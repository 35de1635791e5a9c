"""hostname and subdomain of a pod are AIBrix's.

The controller sets both for every pod, whatever the template says.
"""

from __future__ import annotations

from collections.abc import Iterator

from stormc.rules.finished import Finished
from stormc.rules.rule import Example, Rule, Sees, Violation


def check(finished: Finished) -> Iterator[Violation]:
    for template in finished.templates:
        for field in ("hostname", "subdomain"):
            if field in template.pod:
                path = finished.wrote_pod(template.role, (field,), ())
                yield Violation(path, f"{field} of {template.role} is overwritten by AIBrix", "remove it", at_key=True)


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
    sees=Sees.MANIFESTS,
    only_when_overridden=True,
)  # fmt: skip
