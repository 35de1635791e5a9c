"""ASCEND_VISIBLE_DEVICES reads the annotation of the product's resource.

Volcano writes the chosen NPUs there. From another annotation, or a literal, the runtime mounts other chips or none.
"""

from __future__ import annotations

from collections.abc import Iterator

from stormc.facts.keys import Env
from stormc.phrase import phrase
from stormc.rules.rule import Example, Rule, Subject, Violation
from stormc.rules.storm_service import StormService


def check(service: StormService) -> Iterator[Violation]:
    annotation = f"metadata.annotations['{service.app.profile.resource}']"
    for role, template in service.serving:
        for container, name, entry in template.environment:
            if name == Env.VISIBLE_DEVICES:
                field = ((entry.get("valueFrom") or {}).get("fieldRef") or {}).get("fieldPath")
                if field != annotation:
                    path = service.wrote_env(role.name, container, name)
                    yield Violation(
                        path,
                        phrase("ASCEND_VISIBLE_DEVICES does not read {wanted}", wanted=annotation),
                        phrase("remove it from the override"),
                    )


RULE = Rule(
    "E029", __doc__, check,
    source="ascend-device-plugin pkg/server/plugin.go:582-634",
    bad=(
        Example(at="template.spec.containers[0].env[0]", role="decode", template="""
            spec:
              containers:
              - name: decode
                env:
                - name: ASCEND_VISIBLE_DEVICES
                  valueFrom:
                    fieldRef:
                      fieldPath: metadata.annotations['huawei.com/npu']
            """),
    ),
    instead=(
        Example("""
            decode:
              npus: 16
            """),
    ),
    subject=Subject.MANIFESTS,
    only_when_overridden=True,
)  # fmt: skip
