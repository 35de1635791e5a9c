"""On the host network the engine names an interface of the node.

eth0 is the interface of a pod's own network. A node has others, and HCCL and gloo wait for one that does not exist
until they time out.
"""

from __future__ import annotations

from collections.abc import Iterator

from stormc.facts.pods import INTERFACE
from stormc.phrase import phrase
from stormc.rules.rule import Example, Rule, Subject, Violation
from stormc.rules.storm_service import StormService


def check(service: StormService) -> Iterator[Violation]:
    named = {role.name for role in service.app.serving_roles if role.interface and role.host_network}
    for template in service.templates:
        if template.pod.get("hostNetwork") and template.role not in named:
            for container, name, entry in template.environment:
                if name.endswith("_SOCKET_IFNAME") and entry.get("value") == INTERFACE:
                    path = service.wrote_env(template.role, container, name)
                    if path == (template.role,):
                        path = service.wrote_pod(template.role, ("hostNetwork",), path)
                    hint = phrase("{role}.hostNetwork: true, and the node's interface as interface", role=template.role)
                    yield Violation(
                        path,
                        phrase("pods of {role} run on the host network, {name} is eth0", role=template.role, name=name),
                        hint,
                    )
                    break


RULE = Rule(
    "W723", __doc__, check,
    source="vllm-ascend docs pd_disaggregation_mooncake_multi_node.md: nic_name of the node",
    bad=(
        Example(at="template.spec.hostNetwork", role="decode", template="""
            spec:
              hostNetwork: true
              dnsPolicy: ClusterFirstWithHostNet
            """),
    ),
    instead=(
        Example("""
            decode:
              hostNetwork: true
              interface: enp67s0f5
            """),
    ),
    good=(
        Example("""
            decode:
              hostNetwork: true
            """),
        Example("""
            hostNetwork: true
            interface: eth0
            """),
    ),
    subject=Subject.MANIFESTS,
)  # fmt: skip
