"""A token is not in Git.

Specs and manifests are read by everybody who reads the repository, and history keeps what was removed. A reference to
a Secret is not a secret.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from stormc.phrase import phrase
from stormc.rules.rule import Example, Rule, Subject, Violation
from stormc.rules.storm_service import StormService, environment

TOKEN = re.compile(r"(?:.*_)?(?:TOKEN|API_KEY|PASSWORD|PASSWD|SECRET|SECRET_KEY|ACCESS_KEY)")
FLAGS = ("api-key", "hf-token")


def check(service: StormService) -> Iterator[Violation]:
    for template in service.templates:
        for container, name, entry in environment(template):
            if TOKEN.fullmatch(name) and entry.get("value"):
                hint = phrase("{name}: {{secretKeyRef: {{name: SECRET, key: KEY}}}}", name=name)
                yield Violation(
                    service.wrote_env(template.role, container, name),
                    phrase("{name} stands here as plain text", name=name),
                    hint,
                )
    for role in service.app.serving_roles:
        for flag in FLAGS:
            if isinstance(role.engine_args.get(flag), str):
                hint = phrase("write VLLM_API_KEY or HF_TOKEN as a variable with secretKeyRef")
                yield Violation(
                    role.flag_path(flag),
                    phrase("{role}: --{flag} stands here as plain text", role=role.name, flag=flag),
                    hint,
                )


RULE = Rule(
    "W721", __doc__, check,
    source="docs/proxy.md: PROXY_ADMIN_TOKEN, OPENAI_API_KEY; vllm/envs.py VLLM_API_KEY; Hugging Face HF_TOKEN",
    bad=(
        Example("""
            decode:
              env:
                HF_TOKEN: hf_abc
            """, at="decode.env.HF_TOKEN"),
        Example("""
            routing:
              env:
                OPENAI_API_KEY: abc
            """, at="routing.env.OPENAI_API_KEY"),
        Example("""
            engine:
              args:
                api-key: abc
            """, at="engine.args.api-key"),
    ),
    instead=(
        Example("""
            decode:
              env:
                HF_TOKEN:
                  secretKeyRef:
                    name: hf
                    key: token
            """),
    ),
    subject=Subject.MANIFESTS,
)  # fmt: skip
