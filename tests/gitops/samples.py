"""What tests of several GitOps modules share."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

HERE = Path(__file__).parent
LIVE = HERE / "live_statuses.yaml"
RECORDED: list[dict[str, Any]] = [
    case for path in (HERE / "statuses.yaml", LIVE) for case in yaml.safe_load(path.read_text(encoding="utf-8"))
]
"""Statuses with what the engines must say: written from AIBrix's source, and recorded from running controllers."""


PROD = """\
# Production. Ask the search team before a change.
apiVersion: stormc.dev/v1
kind: App
name: chat
namespace: prod
model: {name: chat, path: /mnt/models/Chat}
image: vllm-ascend:v0.12.0rc1   # see the release notes

# eight nodes per role
hardware: atlas-900-a3-superpod
prefill:
  replicas: 4          # the morning peak
  dataParallel: 2
  tensorParallel: 8
  engineArgs:
    max-model-len: 32768
    # found by the bench of May
    max-num-seqs: 64

decode:
  podGroupSize: 2
  dataParallel: 32
# the end
"""


STAGING = """
name: chat
namespace: staging
image: vllm-ascend:v0.13.0
model: {name: chat, path: /staging/models/Chat}
prefill:
  replicas: 1
  engineArgs: {max-num-seqs: 96, additional-config: {graph: true}}
decode: {env: {HCCL_BUFFSIZE: "2048"}}
proxy: {maxRetries: 5, port: 9999}
"""


URL = "https://git.example.com/platform/inference.git"
