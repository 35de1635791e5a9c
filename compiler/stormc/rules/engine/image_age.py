"""The image is not older than what the P/D guides are written for.

MindCluster's guide needs vllm-ascend from 0.12 on. Before that Mooncake moves KV cache over AscendDirect only where
`use_ascend_direct` asks for it, and ranks of several nodes fail.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from stormc.facts.limits import NEWEST_STABLE_ENGINE
from stormc.load.releases import version
from stormc.model.app import App
from stormc.model.profile import Platform
from stormc.phrase import phrase
from stormc.rules.rule import Example, Rule, Violation

OLDEST = "0.12"
"""The first release of vllm-ascend that MindCluster's guide is written for."""
_TAG = r"v?([0-9]+\.[0-9]+)\.[0-9]"


def check(app: App, platform: Platform) -> Iterator[Violation]:
    roles = {role.image: role for role in reversed(app.serving_roles)}
    for role in roles.values():
        image, _, tag = role.image.partition("@")[0].rpartition(":")
        match = re.match(_TAG, tag) if image.endswith("vllm-ascend") else None
        if match and version(match[1]) < version(OLDEST):
            yield Violation(
                ("image",) if len(roles) == 1 else (role.name, "image"),
                phrase(
                    "vllm-ascend {tag} is older than {oldest}, the first that P/D is documented for",
                    tag=tag,
                    oldest=OLDEST,
                ),
                phrase("take a later image, such as v{newest}.0", newest=NEWEST_STABLE_ENGINE),
            )


RULE = Rule(
    "W714", __doc__, check,
    source="MindCluster guide for vLLM: vllm-ascend from 41fbc5e on; vllm-ascend issue 4866",
    bad=(
        Example("""
            image: vllm-ascend:v0.11.0rc2-a3
            """, at="image"),
        Example("""
            prefill:
              image: vllm-ascend:v0.10.2rc1-a3
            """, at="prefill.image"),
    ),
    instead=(
        Example("""
            image: vllm-ascend:v0.12.0rc1-a3
            """),
    ),
)  # fmt: skip
