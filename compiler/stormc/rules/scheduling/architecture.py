"""hostArch and kubernetes.io/arch are those of the product's nodes.

No node of the product carries another label, so the pods stay Pending.
"""

from __future__ import annotations

from collections.abc import Iterator

from stormc.facts.keys import KUBELET_ARCHES, NodeLabel
from stormc.model.app import App
from stormc.model.profile import Platform
from stormc.rules.rule import Example, Rule, Violation


def check(app: App, platform: Platform) -> Iterator[Violation]:
    known = app.profile.host_arch
    if known and app.host_arch != known:
        yield Violation(("hostArch",), f"hostArch {app.host_arch}: nodes of {app.profile.name} are {known}",
                        "remove hostArch")  # fmt: skip
    for role in app.serving_roles:
        value = role.node_selector.get(NodeLabel.ARCH)
        if known and value is not None and value != KUBELET_ARCHES[known]:
            path = (role.name, "nodeSelector", NodeLabel.ARCH)
            message = f"{NodeLabel.ARCH} {value}: nodes of {app.profile.name} are {KUBELET_ARCHES[known]}"
            yield Violation(path, message, f"use {KUBELET_ARCHES[known]}")


RULE = Rule(
    "W021", __doc__, check,
    source="MindCluster docs 01_introduction/03_supported_product_models_and_os.md",
    bad=(
        Example("""
            hostArch: x86
            """, at="hostArch"),
        Example("""
            decode:
              nodeSelector:
                kubernetes.io/arch: arm
            """, at="decode.nodeSelector.kubernetes.io/arch"),
    ),
    instead=(
        Example("""
            hostArch: arm
            """),
    ),
    good=(
        Example("""
            decode:
              nodeSelector:
                kubernetes.io/arch: arm64
            """),
    ),
)  # fmt: skip
