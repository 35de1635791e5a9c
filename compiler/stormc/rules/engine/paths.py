"""What a flag or a variable of the engine reads lies on a volume.

Draft models, tokenizers and configs that are on no volume are not in the container: the engine ends when it opens
them. What the image has itself is not looked at.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from stormc.finding import Path
from stormc.model.app import App
from stormc.model.kv import CONFIG
from stormc.phrase import phrase
from stormc.rules.engine_run import Run, runs
from stormc.rules.rule import Example, Rule, Subject, Violation
from stormc.rules.storm_service import StormService

OF_THE_IMAGE = (
    "/bin", "/dev", "/home", "/lib", "/lib64", "/opt", "/proc", "/root", "/run", "/sys", "/tmp", "/usr", "/var",
    "/vllm-workspace", "/workspace",
)  # fmt: skip
FLAGS = frozenset({
    "lora-modules", "tokenizer", "hf-config-path", "chat-template", "generation-config", "reasoning-parser-plugin",
    "tool-parser-plugin", "log-config-file", "ssl-keyfile", "ssl-certfile", "ssl-ca-certs", "config",
})  # fmt: skip
"""Flags that name a file or directory to read."""
KEYS = ("model", "tokenizer", "config_path", "ascend_local_comm_res_path", "expert_map_path")
"""Keys inside a mapping that do."""
VARIABLES = ("CONFIG", "CONFIG_PATH", "_FILE")
"""How the names of variables end that lead to a file to read: MOONCAKE_CONFIG_PATH, RANK_TABLE_FILE."""


def check(service: StormService) -> Iterator[Violation]:
    for run in runs(service):
        for path, place in (*_of_flags(service.app, run), *_of_variables(run)):
            if _is_foreign(place) and not any(f"{place}/".startswith(f"{mount.rstrip('/')}/") for mount in run.mounts):
                yield Violation(
                    path,
                    phrase("{role}: {place} is on no volume", role=run.role.name, place=place),
                    phrase("add it to volumes, of the app or of the role"),
                )


def _of_flags(app: App, run: Run) -> Iterator[tuple[Path, str]]:
    """What the flags of an engine read, each with its place in the spec."""
    for flag, value in run.flags.items():
        if flag in FLAGS:
            for word in value if isinstance(value, list) else [value]:
                yield run.at(flag), _adapter(word) if flag == "lora-modules" else str(word)
        for key, text in _inside(value) if isinstance(value, (dict, list)) else ():
            extra = flag == CONFIG and flag not in run.role.flags and app.kv.extra.get(key) == text
            yield ("kvTransfer", "extra", key) if extra and not run.own_command else run.at(flag), text


def _adapter(word: Any) -> str:
    """The directory of a LoRA adapter, which is `name=directory` or a mapping."""
    if isinstance(word, str) and word.startswith("{"):
        try:
            word = json.loads(word)
        except ValueError:
            return ""  # vLLM refuses it for its form
    return str(word.get("path", "")) if isinstance(word, Mapping) else str(word).partition("=")[2]


def _of_variables(run: Run) -> Iterator[tuple[Path, str]]:
    for name, text in run.env.items():
        if name.endswith(VARIABLES):
            yield run.role.env_path(name), text


def _inside(value: dict[str, Any] | list[Any]) -> Iterator[tuple[str, str]]:
    """The values inside of a flag that are read, with their keys."""
    for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
        if key in KEYS and isinstance(inner, str):
            yield str(key), inner
        elif isinstance(inner, (dict, list)):
            yield from _inside(inner)


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
            """, at="kvTransfer.extra.ascend_local_comm_res_path"),
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
