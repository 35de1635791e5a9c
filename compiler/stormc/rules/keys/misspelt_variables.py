"""A variable that is almost a known one is that one, misspelt.

HCCL, CANN and PyTorch ignore variables that they do not know: the default holds, without any message. Where a variable
of your own has a name like a known one, the warning can be suppressed.
"""

from __future__ import annotations

from collections.abc import Iterator

from stormc.facts.known_keys import TABLES
from stormc.phrase import phrase
from stormc.rules.rule import Example, Rule, Subject, Violation
from stormc.rules.storm_service import StormService
from stormc.rules.vocabulary import correct_key


def check(service: StormService) -> Iterator[Violation]:
    variables = TABLES["env"]
    for template in service.templates:
        for container, name, _ in template.environment:
            meant_name = None if name in variables or name.startswith("VLLM_") else correct_key("env", name)
            if meant_name:
                path = service.wrote_env(template.role, container, name)
                yield Violation(
                    path,
                    phrase("environment variable {name} is unknown", name=name),
                    phrase("did you mean {close}?", close=meant_name),
                    at_key=True,
                )


RULE = Rule(
    "W730", __doc__, check,
    source="vllm-ascend docs user_guide/configuration/env_vars.md and tutorials; HCCL documentation",
    bad=(
        Example("""
            prefill:
              env:
                HCCL_BUFSIZE: 600
            """, at="prefill.env.HCCL_BUFSIZE"),
    ),
    instead=(
        Example("""
            prefill:
              env:
                HCCL_BUFFSIZE: 600
                NCCL_SOCKET_IFNAME: eth0
                POD_IPS: x
            """),
    ),
    subject=Subject.MANIFESTS,
)  # fmt: skip
