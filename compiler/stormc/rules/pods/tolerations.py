"""The fields of a toleration go together.

Without a key the operator is Exists, with Exists there is no value, and seconds belong to NoExecute. The
StormService is accepted otherwise too; its pods are not.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from stormc.phrase import Phrase, phrase
from stormc.rules.rule import Example, Rule, Subject, Violation
from stormc.rules.storm_service import StormService


def check(service: StormService) -> Iterator[Violation]:
    for template in service.templates:
        for index, toleration in enumerate(template.pod.get("tolerations") or ()):
            problem = _toleration_problem(toleration)
            if problem:
                path = service.wrote_pod(template.role, ("tolerations",), (template.role, "tolerations"))
                yield Violation(
                    (*path, index),
                    phrase("a toleration of {role} {problem}", role=template.role, problem=problem[0]),
                    problem[1],
                )


def _toleration_problem(toleration: Mapping[str, Any]) -> tuple[Phrase, Phrase] | None:
    exists = toleration.get("operator") == "Exists"
    if not toleration.get("key") and not exists:
        return phrase("has no key"), phrase("name the taint's key, or set operator: Exists to tolerate every taint")
    if exists and toleration.get("value"):
        return phrase("has operator Exists and value {value}", value=toleration["value"]), phrase(
            "remove value, or set operator: Equal"
        )
    if "tolerationSeconds" in toleration and toleration.get("effect") != "NoExecute":
        return phrase("has tolerationSeconds without effect NoExecute"), phrase(
            "set effect: NoExecute, or remove tolerationSeconds"
        )
    return None


RULE = Rule(
    "E077", __doc__, check,
    source="Kubernetes core/v1 ValidateTolerations; AIBrix CRD v0.5.0 does not check it",
    bad=(
        Example("""
            decode:
              tolerations:
              - key: a
                operator: Exists
              - value: b
            """, at="decode.tolerations[1]"),
        Example("""
            routing:
              tolerations:
              - key: a
                operator: Exists
                value: b
            """, at="routing.tolerations[0]"),
        Example("""
            decode:
              tolerations:
              - key: a
                value: b
                tolerationSeconds: 60
            """, at="decode.tolerations[0]"),
        Example(at="template.spec.tolerations[0]", role="decode", template="""
            spec:
              tolerations:
              - effect: NoSchedule
            """),
    ),
    instead=(
        Example("""
            decode:
              tolerations:
              - operator: Exists
              - key: a
              - key: b
                operator: Equal
                value: c
                effect: NoExecute
                tolerationSeconds: 60
            """),
    ),
    subject=Subject.MANIFESTS,
)  # fmt: skip
