"""Variables that hold a pod's own address have no fixed one.

A spec has no pods yet and several get the same value: HCCL and vLLM would bind an address that the pod does not have,
and its peers would ask another one.
"""

from __future__ import annotations

from collections.abc import Iterator

from stormc.facts.keys import Env
from stormc.phrase import phrase
from stormc.rules.rule import Example, Rule, Subject, Violation
from stormc.rules.storm_service import StormService

OWN: tuple[str, ...] = (Env.HCCL_IF_IP, Env.POD_IP, "VLLM_HOST_IP")


def check(service: StormService) -> Iterator[Violation]:
    for template in service.templates:
        for container, name, entry in template.environment:
            value = entry.get("value")
            if name in OWN and value and "$" not in value and "`" not in value:
                yield Violation(
                    service.wrote_env(template.role, container, name),
                    phrase("{role}: {name} is {value} in every pod", role=template.role, name=name, value=value),
                    phrase("write {name}: {{fieldRef: {{fieldPath: status.podIP}}}}", name=name),
                )


RULE = Rule(
    "W736", __doc__, check,
    source="vllm-ascend docs pd_disaggregation_mooncake_multi_node.md: each node exports its own address",
    bad=(
        Example("""
            decode:
              env:
                HCCL_IF_IP: 10.0.0.7
            """, at="decode.env.HCCL_IF_IP"),
        Example("""
            engine:
              env:
                VLLM_HOST_IP: 127.0.0.1
            """, at="engine.env.VLLM_HOST_IP"),
    ),
    instead=(
        Example("""
            decode:
              env:
                HCCL_IF_IP:
                  fieldRef:
                    fieldPath: status.podIP
            """),
    ),
    subject=Subject.MANIFESTS,
)  # fmt: skip
