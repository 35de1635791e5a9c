"""The gateway's labels stand on pods that answer HTTP.

With internal data parallelism only the first pod of an instance serves, and all pods of a role have the same labels.
AIBrix leaves the others out from v0.7 on; before that every other request of the gateway is refused.
"""

from __future__ import annotations

from collections.abc import Iterator

from stormc.facts.keys import Label
from stormc.phrase import phrase
from stormc.rules.rule import Example, Rule, Subject, Violation
from stormc.rules.storm_service import StormService


def check(service: StormService) -> Iterator[Violation]:
    if not service.platform.aibrix.gateway_takes_whole_groups:
        return
    for role, template in service.serving:
        if not role.every_pod_serves and Label.MODEL_NAME in template.labels:
            yield Violation(
                ("gateway",),
                phrase("pods of {role} without HTTP carry {model_name}", role=role.name, model_name=Label.MODEL_NAME),
                phrase("leave gateway out, or set router"),
            )


RULE = Rule(
    "W729", __doc__, check,
    source="AIBrix v0.7.0 pkg/cache/informers.go:495; aibrix issues 1610, 1796",
    bad=(
        Example("""
            gateway: roles
            decode:
              distributedDp: false
            """, at="gateway"),
    ),
    instead=(
        Example("""
            decode:
              distributedDp: false
            """),
        Example("""
            gateway: router
            decode:
              distributedDp: false
            """),
    ),
    subject=Subject.MANIFESTS,
)  # fmt: skip
