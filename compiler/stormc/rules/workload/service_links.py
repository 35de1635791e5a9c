"""Services add no environment variables to pods.

With enableServiceLinks a Service named vllm-… becomes variables VLLM_…, some of which vLLM takes for settings, and
every new Service of the namespace changes what the next pod sees.
"""

from __future__ import annotations

from collections.abc import Iterator

from stormc.phrase import phrase
from stormc.rules.rule import Example, Rule, Subject, Violation
from stormc.rules.storm_service import StormService


def check(service: StormService) -> Iterator[Violation]:
    for template in service.templates:
        if service.pods(template.role) and template.pod.get("enableServiceLinks", True):
            path = service.wrote_pod(template.role, ("enableServiceLinks",), ("overrides",))
            yield Violation(
                path,
                phrase("{role} gets environment from Services", role=template.role),
                phrase("keep enableServiceLinks: false"),
            )


RULE = Rule(
    "W071", __doc__, check,
    source="Kubernetes core/v1 PodSpec.enableServiceLinks; vllm envs.py reads VLLM_PORT",
    bad=(
        Example(at="template.spec.enableServiceLinks", role="decode", template="""
            spec:
              enableServiceLinks: null
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
