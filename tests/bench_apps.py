"""The repositories that `tests.bench` measures: as many distinct, valid apps as it asks for."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from pathlib import Path

APPS_PER_DIRECTORY = 20
PLAIN = 1
"""This app, and those a multiple of 50 further, are like most: without an override."""
OVERRIDDEN = 50
"""One app in so many has an override, which loads jsonschema-rs to judge it."""
HARDWARE = {
    "atlas-800i-a2": 8, "atlas-900-a2-pod": 8, "atlas-800i-a3": 16, "atlas-900-a3-superpod": 16,
    "atlas-9000-a3-superpod": 8,
}  # fmt: skip
MODELS = ("Qwen3-30B-A3B-Instruct-2507", "Qwen3-8B", "DeepSeek-V3.1", "DeepSeek-R1-0528", "Kimi-K2", "GLM-4.5")


def role(pick: random.Random, npus: int, size: int, tensors: Sequence[int]) -> list[str]:
    """The fields of a role whose ranks fill its pods, each on one of so many NPUs."""
    tensor = pick.choice([t for t in tensors if t <= npus])
    fields = [f"podGroupSize: {size}", f"tensorParallel: {tensor}", f"dataParallel: {npus // tensor * size}"]
    if size > 1 and pick.random() < 0.2:
        fields.append("distributedDp: false")
    if pick.random() < 0.3:
        fields.append(f"engineArgs: {{max-model-len: {pick.choice([8192, 16384, 32768])}, max-num-seqs: 64}}")
    if pick.random() < 0.2:
        fields.append(f"env: {{HCCL_BUFFSIZE: {pick.randrange(200, 1200)}}}")
    return fields


def spec_text(number: int) -> str:
    """A distinct, valid app; the same number gives the same text."""
    pick = random.Random(number)
    hardware = pick.choice(list(HARDWARE))
    npus = HARDWARE[hardware]
    lines = [
        "apiVersion: stormc.dev/v1", "kind: App", f"name: app-{number:05d}", f"namespace: team-{number % 37}",
        "model:", f"  name: model-{number}", f"  path: /mnt/models/{pick.choice(MODELS)}",
        f"image: vllm-ascend:v0.12.{pick.randrange(4)}", f"hardware: {hardware}", f"port: {8000 + number % 500}",
    ]  # fmt: skip
    tensors = {"prefill": (4, 8), "decode": (1, 2, 4)}  # a rank of prefill sends its KV cache to one or several (E705)
    for name in ("prefill", "decode"):
        lines += [f"{name}:", f"  replicas: {pick.choice([1, 1, 2, 3])}"]
        lines += [f"  {field}" for field in role(pick, npus, pick.choice([1, 1, 2, 4]), tensors[name])]
    if pick.random() < 0.3:
        lines += ["faults:", f"  retries: {pick.randrange(1, 20)}", "  subHealthy: forceExit"]
    if number % OVERRIDDEN == 0:
        lines += [
            "overrides:", f"  - target: Service/app-{number:05d}-router", "    patch: {spec: {type: NodePort}}",
            f"    reason: ticket {number}", "    owner: platform",
        ]  # fmt: skip
    return "\n".join(lines) + "\n"


def spec_path(number: int) -> str:
    """Where the app lies below specs/."""
    directory = number // APPS_PER_DIRECTORY
    return f"region-{directory % 5}/group-{directory:03d}/app-{number:05d}.yaml"


def generate(root: Path, numbers: Iterable[int]) -> Path:
    """A repository of these apps; every third directory of apps has a platform file."""
    for number in numbers:
        file = root / "specs" / spec_path(number)
        if not file.parent.exists():
            file.parent.mkdir(parents=True)
            if number // APPS_PER_DIRECTORY % 3 == 0:
                (file.parent / "platform.yaml").write_text(
                    "apiVersion: stormc.dev/v1\nkind: Platform\nmindcluster: "
                    + ('"26.1"\n' if number % 2 else '"7.3"\n')
                    + f"namespace: shared\ndefaults:\n  proxy: {{drainSeconds: {30 + number % 60}}}\n"
                    "  prefill: {env: {TEAM: search}}\n"
                )
        file.write_text(spec_text(number))
    return root
