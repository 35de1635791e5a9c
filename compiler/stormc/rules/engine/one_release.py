"""Both roles run one release of vllm-ascend, the one that engine.version names.

The checks of flags, connectors and variables hold for one release. KV cache and what the connectors say to each other
change between releases, so prefill and decode of two releases may not understand each other.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from stormc.model.app import App
from stormc.model.profile import Platform
from stormc.phrase import phrase
from stormc.rules.rule import Example, Rule, Violation

TAG = r"(?:.*/)?vllm-ascend:v?(0\.[0-9]+)(?:[^0-9@][^@]*)?(?:@.*)?"
LINE = r"v?(0\.[0-9]+)(?:[^0-9].*)?"


def check(app: App, platform: Platform) -> Iterator[Violation]:
    if app.engine.version is None and app.prefill.image == app.decode.image:
        return
    lines = {role.name: match[1] for role in app.serving_roles if (match := re.fullmatch(TAG, role.image))}
    version = re.fullmatch(LINE, app.engine.version or "")
    for role, line in lines.items():
        if version is not None and line != version[1]:
            yield Violation(
                ("engine", "version"),
                phrase("engine.version is {version}, the image of {role} is of {line}",
                       version=version[1], role=role, line=line),
                phrase("leave engine.version out: the tag says it"),
            )  # fmt: skip
    if version is None and len(set(lines.values())) > 1:
        yield Violation(
            ("prefill", "image"),
            phrase("prefill runs release {prefill}, decode {decode}", prefill=lines["prefill"], decode=lines["decode"]),
            phrase("give both roles one release"),
        )


RULE = Rule(
    "W735", __doc__, check,
    source="vllm-ascend tests/e2e external_dp: one image in each of 55 deployments; kv_p2p/mooncake_connector.py",
    bad=(
        Example("""
            image: quay.io/ascend/vllm-ascend:v0.18.0-a3
            engine:
              version: 0.23
            """, at="engine.version"),
        Example("""
            prefill:
              image: quay.io/ascend/vllm-ascend:v0.13.0-a3
            """, at="prefill.image"),
    ),
    instead=(
        Example("""
            image: quay.io/ascend/vllm-ascend:v0.12.0-a3
            engine:
              version: "0.12"
            """),
    ),
    good=(
        Example("""
            image: registry.example.com/own-engine:v0.3
            engine:
              version: 0.12
            """),
        Example("""
            prefill:
              image: vllm-ascend:v0.12.0rc2-a3
            """),
    ),
)  # fmt: skip
