"""A privileged container does not forbid privilege escalation.

stormc forbids it in routing pods, and in engine pods unless an override makes one privileged. The StormService is
accepted with `privileged: true` or capability SYS_ADMIN beside it; its pods are not, and AIBrix tries again for ever.
"""

from __future__ import annotations

from collections.abc import Iterator

from stormc.phrase import phrase
from stormc.rules.pods import containers, wrote
from stormc.rules.rule import Example, Rule, Subject, Violation
from stormc.rules.storm_service import StormService


def check(service: StormService) -> Iterator[Violation]:
    for template, kind, container in containers(service):
        context = container.get("securityContext") or {}
        added = (context.get("capabilities") or {}).get("add") or ()
        privileged = context.get("privileged") is True
        if context.get("allowPrivilegeEscalation") is not False or not (privileged or "SYS_ADMIN" in added):
            continue
        field = ("privileged",) if privileged else ("capabilities", "add")
        yield Violation(
            wrote(service, template, kind, container["name"], "securityContext", *field),
            phrase(
                "container {container} of {role} has {word} and no privilege escalation",
                container=container["name"],
                role=template.role,
                word="privileged" if privileged else "SYS_ADMIN",
            ),
            phrase("patch allowPrivilegeEscalation: null, too"),
        )


RULE = Rule(
    "E081", __doc__, check,
    source="Kubernetes core/v1 ValidateSecurityContext",
    bad=(
        Example(at="template.spec.containers[0].securityContext.capabilities.add", role="routing", template="""
            spec:
              containers:
              - name: router
                securityContext:
                  capabilities:
                    add: [SYS_ADMIN]
            """),
    ),
    instead=(
        Example(role="routing", template="""
            spec:
              containers:
              - name: router
                securityContext:
                  allowPrivilegeEscalation: null
                  capabilities:
                    add: [SYS_ADMIN]
            """),
    ),
    good=(
        Example(role="decode", template="""
            spec:
              containers:
              - name: decode
                securityContext:
                  privileged: true
            """),
    ),
    subject=Subject.MANIFESTS,
    only_when_overridden=True,
)  # fmt: skip
