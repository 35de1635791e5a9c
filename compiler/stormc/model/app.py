"""The model behind a spec: frozen, complete, and the only thing that passes and rules look at.

What two passes both need (Service names, ports of a rank, gang membership) is a property here, so that no pass
digs it out of another's output.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any

from stormc.digest import digest
from stormc.facts.keys import Directory, Label
from stormc.facts.limits import LABEL_BYTES
from stormc.facts.limits import ROUTING as ROUTING
from stormc.model.profile import Profile
from stormc.model.role import Pods as Pods
from stormc.model.role import Role as Role
from stormc.model.role import Routing as Routing
from stormc.payload.objects import shared_names
from stormc.payload.read import Payload
from stormc.record import NamedTuple, Record
from stormc.targets.programs import proxy_config_name, router_service_name
from stormc.targets.storm_service import role_labels

ROUTER = "router"
"""The container of a routing pod."""


class Ref(NamedTuple):
    """Names one rendered object; its namespace is the app's."""

    kind: str
    name: str


class Model(Record):
    """What is served: name towards clients, directory inside the pod, and the volume it comes from."""

    name: str
    path: str
    host_path: str | None
    claim: str | None
    moe: bool | None

    @property
    def mount_path(self) -> str:
        """The directory that the volume is mounted on: the parent of the weights, as the k8s-deploy-tool has it."""
        return self.path.rstrip("/").rpartition("/")[0] or "/"


class Faults(Record):
    """What happens when a chip, a node or a process fails."""

    scheduling: str
    retries: int
    sub_healthy: str
    grace_period_seconds: int | None


class Script(NamedTuple):
    """A start script that lies on every node, and the shell command that runs it there."""

    directory: str
    command: str


class Engine(NamedTuple):
    """How the engine containers start: by stormc's launcher, unless the spec has a command or a start script."""

    startup_seconds: int
    command: tuple[str, ...] | None
    script: Script | None
    version: str | None = None
    load_minutes: int | None = None

    @property
    def launches(self) -> bool:
        """Whether stormc's launcher starts the engine."""
        return self.command is None and self.script is None

    @property
    def needs_launcher(self) -> bool:
        """Whether the launcher has to be in the container: the user's command may call it too."""
        return self.launches or any(Directory.LAUNCHER in word for word in self.command or ())


class KvTransfer(NamedTuple):
    """How KV cache moves between the roles: the connector that carries it, its protocol towards the proxy, extras."""

    connector: str
    protocol: str
    extra: Mapping[str, Any]
    pool: Mapping[str, Any] | None


class Override(Record):
    """One patch of the escape hatch, with an owner and a reason."""

    kind: str
    name: str | None
    patch: Mapping[str, Any]
    reason: str
    owner: str
    expires: str | None


class ServingPod(Record):
    """A pod that answers requests, with the Service that leads to it and the ports of its ranks."""

    role: str
    replica: int
    pod_index: int | None
    service: str
    ports: tuple[int, ...]


class App(Record):
    """One service, complete: every default is filled in and the hardware profile is resolved."""

    name: str
    namespace: str
    spec_file: str
    digest: str
    model: Model
    image_pull_secrets: tuple[str, ...]
    profile: Profile
    host_arch: str | None
    port: int
    kv: KvTransfer
    expert_parallel: bool
    prefill: Role
    decode: Role
    routing: Routing
    faults: Faults
    engine: Engine
    proxy: Mapping[str, Any]
    proxy_source: str
    network_policy: bool
    gateway: str
    overrides: tuple[Override, ...]
    payload: Payload

    @cached_property
    def storm_service(self) -> Ref:
        """The StormService, which most edits of a compilation are about."""
        return Ref("StormService", self.name)

    @cached_property
    def serving_roles(self) -> tuple[Role, Role]:
        """Prefill and decode, in this order."""
        return (self.prefill, self.decode)

    @property
    def connector(self) -> str:
        """The connector that carries KV cache from prefill to decode."""
        return self.kv.connector

    @property
    def identity(self) -> str:
        """A label value that no other app of the cluster has, because AIBrix matches selectors cluster-wide.

        `getRoleSetList` lists without a namespace (AIBrix stormservice/rolesetoperations.go:35-49, issue 2779): two
        services with equal selectors delete each other's pods.
        """
        joined = f"{self.namespace}.{self.name}"
        if len(joined) <= LABEL_BYTES:
            return joined
        return f"{self.name[:40]}.{digest(joined.encode())[:20]}"

    def gang(self, role: Role) -> int:
        """Pods that must be placeable together: huawei.com/schedule_minAvailable of the role.

        All roles of podGroupSize 1 share one PodGroup, so theirs is the sum of their replicas; an instance of a
        larger role is a PodGroup of its own (MindCluster guide, parameter table; ascend-for-volcano plugin/job.go:554).
        """
        if not role.shares_pod_group:
            return role.pod_group_size
        return sum(other.replicas for other in self.serving_roles if other.shares_pod_group)

    @cached_property
    def serving_pods(self) -> tuple[ServingPod, ...]:
        """Every pod that the proxy may address, prefill first, by replica and pod index.

        Pod names hold a random RoleSet suffix and a hash, so each pod gets a Service of its own over AIBrix's
        stable labels; the names are those of MindCluster's k8s-deploy-tool (stormservice.yaml.j2).
        """
        pods = []
        for role in self.serving_roles:
            ports = tuple(role.ports)
            for replica in range(role.replicas):
                stem = f"{self.name}-{role.name}-{replica}"
                if role.pod_group_size == 1:
                    pods.append(ServingPod(role.name, replica, None, stem, ports))
                    continue
                for index in range(role.pod_group_size if role.every_pod_serves else 1):
                    pods.append(ServingPod(role.name, replica, index, f"{stem}-{index}", ports))
        return tuple(pods)

    @property
    def proxy_config(self) -> str:
        """The ConfigMap that holds the proxy's config file."""
        return proxy_config_name(self.name)

    @property
    def shared(self) -> tuple[str, ...]:
        """The names of the ConfigMaps that the app mounts and shares with the others of its namespace."""
        return shared_names(self.payload, self.engine.needs_launcher, self.proxy_source == "configMap")

    @property
    def metaserver_port(self) -> int | None:
        """The proxy's own port for callbacks of decode pods, where a network policy has to tell them apart."""
        return self.proxy["port"] + 1 if self.network_policy else None

    @property
    def objects(self) -> list[Ref]:
        """Every object that the app renders to, without those that it shares."""
        services = [pod.service for pod in self.serving_pods] + [self.router_service]
        services += [self.router_peers] if self.router_peers else []
        return [
            self.storm_service,
            Ref("ConfigMap", self.proxy_config),
            *(Ref("Service", name) for name in services),
            *([Ref("PodDisruptionBudget", self.router_service)] if self.routing.replicas > 1 else []),
            *(Ref("NetworkPolicy", name) for name in (self.engine_policy, self.router_service) if self.network_policy),
        ]

    @property
    def engine_policy(self) -> str:
        """The NetworkPolicy of the prefill and decode pods; that of the routing pods is called like their Service."""
        return f"{self.name}-engine"

    def targets(self, override: Override) -> list[Ref]:
        """The objects that an override names: all of a kind, or the one with the name."""
        return [ref for ref in self.objects if ref.kind == override.kind and override.name in (None, ref.name)]

    def role_labels(self, role: str) -> dict[str, str]:
        """The labels that AIBrix gives to every pod of a role (v0.5.0 pkg/controller/constants/stormservice.go)."""
        return role_labels(self.name, role)

    def gateway_labels(self, port: int) -> dict[str, str]:
        """The pod labels by which AIBrix's gateway discovers who serves the model (AIBrix pkg/cache/informers.go)."""
        return {
            Label.MODEL_NAME: self.model.name,
            Label.MODEL_PORT: str(port),
            Label.MODEL_ENGINE: "vllm",
        }

    @property
    def router_service(self) -> str:
        """The Service that clients use."""
        return router_service_name(self.name)

    @property
    def router_peers(self) -> str:
        """The headless Service by which several routing pods find each other; empty where there is only one."""
        return f"{self.name}-router-peers" if self.routing.replicas > 1 else ""
