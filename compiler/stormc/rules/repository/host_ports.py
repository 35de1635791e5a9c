"""Engines on the host network that may share a node use different ports.

Without a network of its own a pod has the node's ports. Kubernetes knows of the declared ones only; KV ports are
not, and the second engine that takes one does not start.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from stormc.model.summary import Summary
from stormc.phrase import phrase
from stormc.rules.repository import Repository
from stormc.rules.rule import Example, Rule, Subject, Violation


def check(repository: Repository) -> Iterator[Violation]:
    taken_ports: dict[tuple[str, str], list[tuple[Summary, tuple[int, int, str]]]] = defaultdict(list)
    for number, app in enumerate(repository.apps):
        for ports in app.host_ports:
            same_hardware = taken_ports[app.cluster, app.hardware]
            other = next((o for o, (low, high, _) in same_hardware if low <= ports[1] and ports[0] <= high), None)
            if other:
                who = phrase("another role or replica of it") if other is app else f"{other.namespace}/{other.name}"
                numbers = f"{ports[0]}…{ports[1]}" if ports[1] > ports[0] else str(ports[0])
                yield Violation(
                    tuple(ports[2].split(".")),
                    phrase(
                        "{app} and {who} use port {port} on the host network and may share a node",
                        port=numbers,
                        app=app.name,
                        who=who,
                    ),
                    phrase("give each role whole nodes, or its own port and kvPort"),
                    app=number,
                )
                break
            same_hardware.append((app, ports))


RULE = Rule(
    "E068", __doc__, check,
    source="vllm-ascend docs pd_disaggregation_mooncake_multi_node.md; Kubernetes hostNetwork",
    bad=(
        Example("""
            name: one
            hardware: atlas-800i-a3
            port: 8000
            kvTransfer:
              port: 36000
            prefill:
              replicas: 1
              npus: 8
              dataParallel: 1
              allowPartialNode: true
            """, at="kvTransfer.port", role="prefill", template="""
            spec:
              hostNetwork: true
            """, beside=("""
            name: two
            hardware: atlas-800i-a3
            port: 9000
            kvTransfer:
              port: 36000
            prefill:
              replicas: 1
              npus: 8
              dataParallel: 1
              allowPartialNode: true
            overrides:
            - target: StormService
              reason: a trial
              owner: team-a
              patch:
                spec:
                  template:
                    spec:
                      roles:
                      - name: prefill
                        template:
                          spec:
                            hostNetwork: true
            """,)),
    ),
    instead=(
        Example("""
            name: one
            hardware: atlas-800i-a3
            port: 8000
            kvTransfer:
              port: 36000
            prefill:
              replicas: 1
              npus: 16
              dataParallel: 2
              allowPartialNode: true
            """, role="prefill", template="""
            spec:
              hostNetwork: true
            """, beside=("""
            name: two
            hardware: atlas-800i-a3
            port: 9000
            kvTransfer:
              port: 36000
            prefill:
              replicas: 1
              npus: 8
              dataParallel: 1
              allowPartialNode: true
            overrides:
            - target: StormService
              reason: a trial
              owner: team-a
              patch:
                spec:
                  template:
                    spec:
                      roles:
                      - name: prefill
                        template:
                          spec:
                            hostNetwork: true
            """,)),
    ),
    subject=Subject.REPOSITORY,
)  # fmt: skip
