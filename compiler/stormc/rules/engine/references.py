"""`$(NAME)` in an environment variable names one that stands before it.

The kubelet expands only earlier variables, and AIBrix sorts all of them by name up to v0.6, with those of the pod
group last: a reference to a later name reaches the engine as literal text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from stormc.facts.keys import Env
from stormc.facts.known_keys import ENV, Use
from stormc.phrase import NONE, phrase
from stormc.rules.engine.shell_variables import prepended
from stormc.rules.rule import Example, Rule, Subject, Violation
from stormc.rules.storm_service import StormService

_EXPAND = phrase("write the value itself, or a reference, such as {{fieldRef: {{fieldPath: status.podIP}}}}")
_REFERENCE = r"(\$*)\$\(([A-Za-z_][A-Za-z0-9_]*)\)"


def check(service: StormService) -> Iterator[Violation]:
    app = service.app
    if not app.overrides and not any(r.env for r in (*app.serving_roles, app.routing)):
        return
    for template in service.templates:
        declared = {(container, name) for container, name, _ in template.environment}
        for container, name, entry in template.environment:
            value = str(entry.get("value", ""))
            for escapes, referenced in sorted(set(re.findall(_REFERENCE, value))) if "$(" in value else ():
                if len(escapes) % 2:
                    continue
                builtin = referenced in ENV and ENV[referenced].use is Use.CONTROLLER and referenced != Env.POD_IP
                grouped = referenced in (Env.PODSET_NAME, Env.POD_GROUP_INDEX, Env.POD_GROUP_SIZE)
                if service.platform.aibrix.sorts_environment:
                    builtin = builtin and not grouped and referenced < name
                if not builtin and not ((container, referenced) in declared and referenced < name):
                    path = service.wrote_env(template.role, container, name)
                    message = phrase("$({wanted}) in {name} stays literal", wanted=referenced, name=name)
                    own = prepended(name, value, f"$({name})") if referenced == name else NONE
                    yield Violation(path, message, own or _EXPAND)


RULE = Rule(
    "E058", __doc__, check,
    source="AIBrix v0.5.0 pkg/controller/roleset/utils.go:217-224, issues 2108, 2114",
    bad=(
        Example("""
            decode:
              env:
                HCCL_IF_IP: $(POD_IP)
            """, at="decode.env.HCCL_IF_IP"),
        Example("""
            decode:
              env:
                RANK: $(POD_GROUP_INDEX)
            """, at="decode.env.RANK"),
        Example(at="template.spec.containers[0].env[0]", role="decode", template="""
            spec:
              containers:
              - name: decode
                env:
                - name: X
                  value: $(Y)
            """),
    ),
    instead=(
        Example("""
            decode:
              env:
                VLLM_HOST_IP: $(POD_IP)
                SELF: $(ROLE_NAME)
                PRICE: $$(X)
            """),
    ),
    good=(
        Example("""
            decode:
              env:
                AAA: $(ROLE_NAME)
            """, platform="aibrix: v0.7.0"),
    ),
    subject=Subject.MANIFESTS,
)  # fmt: skip
