"""A pasted kv-transfer-config has the sizes of the other role as that role has them.

An engine holds only its own sizes against its flags. With other sizes of its peer it asks for KV cache of ranks
that hold other heads, or of ranks that do not exist.
"""

from __future__ import annotations

from collections.abc import Iterator

from stormc.model.app import App
from stormc.model.kv import CONFIG, carrying
from stormc.model.profile import Platform
from stormc.phrase import phrase
from stormc.rules.engine.kv_config import kv_sizes, kv_value
from stormc.rules.rule import Example, Rule, Violation


def check(app: App, platform: Platform) -> Iterator[Violation]:
    for role, other in (app.serving_roles, app.serving_roles[::-1]):
        config = role.engine_args.get(CONFIG)
        part = carrying(config, role.facts) if isinstance(config, dict) else None
        if part is None:
            continue
        for steps, value in kv_sizes(other):
            if kv_value(part.config, steps) not in (value, None):
                yield Violation(
                    (*role.flag_path(CONFIG), *part.path, *steps),
                    phrase(
                        "{role}: {steps} of kv-transfer-config is not {value}, as {other} has it",
                        role=role.name,
                        steps=".".join(steps),
                        value=value,
                        other=other.name,
                    ),
                    phrase("write {value}", value=value),
                )
                break


RULE = Rule(
    "W701", __doc__, check,
    source="vllm-ascend v0.23.0 vllm_ascend/utils.py:1426-1451, check_kv_extra_config",
    bad=(
        Example("""
            decode:
              engineArgs:
                kv-transfer-config:
                  kv_connector_extra_config:
                    prefill:
                      dp_size: 2
                      tp_size: 4
            """, at="decode.engineArgs.kv-transfer-config.kv_connector_extra_config.prefill.tp_size"),
    ),
    instead=(
        Example("""
            decode:
              engineArgs:
                kv-transfer-config:
                  kv_connector_extra_config:
                    prefill:
                      dp_size: 2
                      tp_size: 8
            """),
    ),
)  # fmt: skip
