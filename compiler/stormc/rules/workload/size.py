"""An app has at most 4,096 pods and 65,536 ranks.

Every engine pod gets a Service, every rank a port and a place in the proxy's topology. More of them than a cluster has
nodes are a typing error, and no API server stores their manifests.
"""

from __future__ import annotations

from collections.abc import Iterator

from stormc.facts.limits import PODS_MAX, RANKS_MAX
from stormc.model.app import App
from stormc.model.profile import Platform
from stormc.phrase import phrase
from stormc.rules.rule import Example, Rule, Violation


def check(app: App, platform: Platform) -> Iterator[Violation]:
    roles = app.serving_roles
    largest = max(roles, key=lambda role: role.replicas * max(role.pod_group_size, role.data_parallel))
    pods = sum(role.replicas * role.pod_group_size for role in roles)
    ranks = sum(role.replicas * role.data_parallel for role in roles)
    if pods > PODS_MAX:
        yield Violation(
            (largest.name, "replicas"),
            phrase("{app} has {pods} engine pods, the limit is {pods_max}", app=app.name, pods=pods, pods_max=PODS_MAX),
            phrase("lower replicas or podGroupSize, or make several apps"),
        )
    elif ranks > RANKS_MAX:
        yield Violation(
            (largest.name, "replicas"),
            phrase("{app} has {ranks} ranks, the limit is {ranks_max}", app=app.name, ranks=ranks, ranks_max=RANKS_MAX),
            phrase("lower replicas or dataParallel, or make several apps"),
        )


RULE = Rule(
    "E080", __doc__, check,
    source="StormService CRD v0.5.0; etcd keeps 1.5 MB per object, which the proxy's topology outgrows first",
    bad=(
        Example("""
            prefill:
              replicas: 1000
              podGroupSize: 8
              dataParallel: 8
            """, at="prefill.replicas"),
    ),
    instead=(
        Example("""
            prefill:
              replicas: 20
            """),
    ),
)  # fmt: skip
