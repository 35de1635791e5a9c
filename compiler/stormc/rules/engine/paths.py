"""What a flag or a variable of the engine reads lies on a volume.

Draft models, tokenizers and configs that are on no volume are not in the container: the engine ends when it opens
them. What the image has itself is not looked at.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from stormc.phrase import phrase
from stormc.rules.engine_run import runs
from stormc.rules.rule import Example, Rule, Subject, Violation
from stormc.rules.storm_service import StormService

OF_THE_IMAGE = (
    "/bin", "/dev", "/home", "/lib", "/lib64", "/opt", "/proc", "/root", "/run", "/sys", "/tmp", "/usr", "/var",
    "/vllm-workspace", "/workspace",
)  # fmt: skip
FLAGS = ("tokenizer", "hf-config-path", "chat-template", "generation-config", "reasoning-parser-plugin",
         "tool-parser-plugin", "log-config-file", "ssl-keyfile", "ssl-certfile", "ssl-ca-certs", "config")  # fmt: skip
"""Flags that name a file or directory to read."""
KEYS = ("model", "tokenizer", "ascend_local_comm_res_path", "expert_map_path")
"""Keys inside a mapping that do."""
VARIABLES = ("MOONCAKE_CONFIG_PATH", "LMCACHE_CONFIG_FILE", "VLLM_LOGGING_CONFIG_PATH", "HCCL_CONFIG_PATH",
             "RANK_TABLE_FILE", "ASCEND_GLOBAL_RESOURCE_CONFIG", "UCM_CONFIG_FILE")  # fmt: skip


def check(service: StormService) -> Iterator[Violation]:
    for run in runs(service):
        mounts = [f"{mount.rstrip('/')}/" for mount in run.mounts]
        found = [(run.at(flag), run.flags[flag]) for flag in FLAGS if flag in run.flags]
        for flag, value in run.flags.items():
            found += [(run.at(flag), text) for text in _inside(value)]
        found += [(run.role.env_path(name), run.env[name]) for name in VARIABLES if name in run.env]
        for path, place in found:
            if isinstance(place, str) and _is_foreign(place) and not any(f"{place}/".startswith(m) for m in mounts):
                yield Violation(
                    path,
                    phrase("{role}: {place} is on no volume", role=run.role.name, place=place),
                    phrase("mount it: volumes, of the app or a role"),
                )


def _inside(value: Any) -> Iterator[str]:
    if isinstance(value, Mapping):
        for key, inner in value.items():
            if key in KEYS and isinstance(inner, str):
                yield inner
            else:
                yield from _inside(inner)
    elif isinstance(value, list):
        for item in value:
            yield from _inside(item)


def _is_foreign(place: str) -> bool:
    first = f"/{place.split('/')[1]}" if place.startswith("/") and len(place) > 1 else ""
    return bool(first) and first not in OF_THE_IMAGE and not place.startswith("/etc/ssl")


RULE = Rule(
    "W719", __doc__, check,
    source="Kubernetes core/v1 VolumeMount; vllm-ascend v0.23.0 vllm_ascend/utils.py:584 on "
    "ascend_local_comm_res_path",
    bad=(
        Example("""
            engine:
              args:
                speculative-config:
                  method: eagle3
                  model: /mnt/draft/eagle
                  num_speculative_tokens: 1
            """, at="engine.args.speculative-config"),
        Example("""
            decode:
              env:
                MOONCAKE_CONFIG_PATH: /etc/mooncake/mooncake.json
            """, at="decode.env.MOONCAKE_CONFIG_PATH"),
        Example("""
            kvTransfer:
              extra:
                ascend_local_comm_res_path: /etc/hixlep
            """, at="prefill"),
    ),
    instead=(
        Example("""
            engine:
              args:
                speculative-config:
                  method: eagle3
                  model: /mnt/draft/eagle
                  num_speculative_tokens: 1
            volumes:
            - mountPath: /mnt/draft
              hostPath: /mnt/draft
            """),
        Example("""
            engine:
              args:
                tokenizer: /mnt/models/tokenizer
                allowed-local-media-path: /
              env:
                LD_PRELOAD: /usr/lib/libjemalloc.so.2
            """),
    ),
    subject=Subject.MANIFESTS,
)  # fmt: skip
