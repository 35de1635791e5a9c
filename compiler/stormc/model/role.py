"""The roles of an app: what each says of its pods, and the arithmetic of ranks, pods, NPUs and ports behind it."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any

from stormc.finding import Path
from stormc.load.engines import EngineFacts
from stormc.model.flags import Flag
from stormc.record import NamedTuple, Record, field


class Reference(NamedTuple):
    """A variable whose value lies elsewhere: a key of a Secret or ConfigMap, a field of the pod, a resource."""

    source: Mapping[str, Any]


class Prepended(NamedTuple):
    """A variable of the image to which the launcher prepends."""

    text: str


EnvValue = str | Reference | Prepended | None
"""A literal, a reference, an addition; None says that the container does not have the variable."""


class Volume(NamedTuple):
    """A volume of the spec: its source as Kubernetes has it, and where it is mounted."""

    name: str
    source: Mapping[str, Any]
    mount_path: str
    read_only: bool
    sub_path: str | None
    path: Path


class Pods(Record):
    """What every role says of its pods."""

    name: str
    replicas: int
    image: str
    image_pull_policy: str | None
    cpu: str | None
    memory: str | None
    env: Mapping[str, EnvValue]
    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    node_selector: Mapping[str, str]
    tolerations: tuple[Mapping[str, Any], ...]
    priority_class: str | None
    volumes: tuple[Volume, ...] = field(default=(), kw_only=True)
    env_paths: Mapping[str, Path] = field(default_factory=dict, kw_only=True)

    def env_path(self, name: str) -> Path:
        """The place in the spec that gives a variable its value."""
        return self.env_paths.get(name, (self.name, "env", name))


class Role(Pods):
    """A serving role, prefill or decode: `replicas` instances of `pod_group_size` pods each."""

    pod_group_size: int
    data_parallel: int
    tensor_parallel: int
    pipeline_parallel: int
    prefill_context: int
    decode_context: int
    distributed_dp: bool
    moe: bool | None
    npus: int
    allow_partial_node: bool
    sp_block: int | None
    min_available: int | None
    flags: Mapping[str, Flag]
    facts: EngineFacts
    facts_known: bool
    """Whether engine.version or the image's tag names the release; else the newest stable one is assumed."""
    port: int
    kv_port: int
    kv_port_path: Path
    host_network: bool
    interface: str | None
    shm_size: str
    queue: str | None
    requests: Mapping[str, str]
    """CPU and memory that the profile knows and the role does not name; requested, not limited."""
    security_context: Mapping[str, Any]

    @property
    def local_ranks(self) -> int:
        """Data-parallel ranks per pod."""
        return max(1, self.data_parallel // self.pod_group_size)

    @property
    def spans_pods(self) -> bool:
        """Whether the only rank of an instance runs over all of its pods."""
        return self.data_parallel == 1 and self.pod_group_size > 1

    @property
    def world_size(self) -> int:
        """NPUs of a rank. Decode context parallelism takes its ranks from the tensor-parallel ones."""
        return self.tensor_parallel * self.pipeline_parallel * self.prefill_context

    @property
    def npus_used(self) -> int:
        """NPUs of a pod that have work."""
        return self.world_size // self.pod_group_size if self.spans_pods else self.local_ranks * self.world_size

    @property
    def independent(self) -> bool:
        """Whether the ranks are engines that know nothing of each other.

        vLLM treats the ranks of a dense model so by itself (vllm/v1/engine/core.py) and refuses to be told that they
        belong together from 0.21 on (vllm/engine/arg_utils.py).
        """
        return self.moe is False and self.data_parallel > 1 and self.distributed_dp

    @property
    def kv_ranks(self) -> int:
        """dp_size of the KV config: the data parallelism that an engine knows of; an independent one knows of none."""
        return 1 if self.independent else self.data_parallel

    @property
    def kv_ports(self) -> range:
        """The KV ports of a pod, one per NPU of its instance: kv_port + rank × NPUs of a rank + NPU.

        Source: vllm_ascend/distributed/kv_transfer/kv_p2p/mooncake_connector.py, side_channel_port. Independent ranks
        all take themselves for rank 0, so the launcher gives each a port of its own.
        """
        ranks = self.local_ranks if self.independent else self.data_parallel
        return range(self.kv_port, self.kv_port + ranks * self.world_size)

    @property
    def ports(self) -> range:
        """The ports on which a pod that serves answers HTTP, one per rank where each is an engine of its own."""
        return range(self.port, self.port + (self.local_ranks if self.distributed_dp else 1))

    @property
    def shares_pod_group(self) -> bool:
        """Whether its pods sit in the PodGroup that all roles of podGroupSize 1 share.

        volcano-controller makes one PodGroup per owner: the RoleSet owns the pods of these roles, a PodSet per
        instance owns those of the others (AIBrix v0.5.0 roleset/rolesyncer.go; volcano pg_controller_handler.go).
        """
        return self.pod_group_size == 1

    @property
    def every_pod_serves(self) -> bool:
        """Whether every pod answers HTTP: not so behind internal data parallelism, where only pod 0 does."""
        return self.pod_group_size == 1 or (self.distributed_dp and not self.spans_pods)

    @cached_property
    def engine_args(self) -> Mapping[str, Any]:
        """The user's flags with their values."""
        return {name: flag.value for name, flag in self.flags.items()}

    def flag_path(self, name: str) -> Path:
        """The place in the spec that gives a flag its value."""
        return self.flags[name].path if name in self.flags else (self.name, "engineArgs", name)


class Routing(Pods):
    """The routing role: pods that run the proxy and ask for no NPU."""
