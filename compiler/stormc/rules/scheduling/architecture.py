"""hostArch and kubernetes.io/arch are those of the product's nodes.

No node of the product carries another label, so the pods stay Pending.
"""

from __future__ import annotations

from collections.abc import Iterator

from stormc.facts.keys import KUBELET_ARCHES, NodeLabel
from stormc.model.app import App
from stormc.model.profile import Platform
from stormc.phrase import phrase
from stormc.rules.rule import Example, Rule, Violation


def check(app: App, platform: Platform) -> Iterator[Violation]:
    of_product = app.profile.host_arch
    if of_product and app.host_arch != of_product:
        yield Violation(
            ("hostArch",),
            phrase(
                "hostArch {host_arch}: nodes of {profile} are {known}",
                host_arch=app.host_arch,
                profile=app.profile.name,
                known=of_product,
            ),
            phrase("remove hostArch"),
        )
    for role in app.serving_roles:
        value = role.node_selector.get(NodeLabel.ARCH)
        if of_product and value is not None and value != KUBELET_ARCHES[of_product]:
            path = (role.name, "nodeSelector", NodeLabel.ARCH)
            message = phrase(
                "{arch} {value}: nodes of {profile} are {kubelet_arches}",
                arch=NodeLabel.ARCH,
                value=value,
                profile=app.profile.name,
                kubelet_arches=KUBELET_ARCHES[of_product],
            )
            yield Violation(path, message, phrase("use {kubelet_arches}", kubelet_arches=KUBELET_ARCHES[of_product]))


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
