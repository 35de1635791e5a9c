"""From checked fields to the frozen model: pure construction, every default settled."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from stormc.digest import digest
from stormc.model import schema
from stormc.model.app import App, Engine, Faults, Model, Override, Role, Routing, Script
from stormc.model.profile import Platform, Profile
from stormc.model.quantity import canonical
from stormc.payload.read import Payload


def build_app(data: Mapping[str, Any], spec_file: str, profile: Profile, platform: Platform, payload: Payload) -> App:
    """The app of checked and normalised fields on a known profile and platform."""
    return App(
        name=data["name"],
        namespace=data.get("namespace") or platform.namespace,
        spec_file=spec_file,
        digest=_digest(data),
        model=_model(data["model"]),
        image_pull_secrets=tuple(dict.fromkeys(data["imagePullSecrets"])),
        profile=profile,
        host_arch=data.get("hostArch") or profile.host_arch,
        port=data["port"],
        connector=data["kvTransfer"]["connector"],
        kv_port=data["kvTransfer"].get("port") or profile.kv_port,
        expert_parallel=data["expertParallel"],
        prefill=_role("prefill", data, profile),
        decode=_role("decode", data, profile),
        routing=Routing(**_pods("routing", data)),
        faults=_faults(data["faults"]),
        engine=_engine(data["engine"]),
        proxy={key: data["proxy"][key] for key in schema.PROXY if key in data["proxy"] and key != "source"},
        proxy_source=data["proxy"]["source"],
        network_policy=data["networkPolicy"],
        gateway=data["gateway"],
        overrides=tuple(map(_override, data["overrides"])),
        payload=payload,
    )


def _digest(data: Mapping[str, Any]) -> str:
    """A digest of what the spec says, the same for any order of its keys."""
    text = json.dumps(data, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return digest(text.encode("utf-8", "surrogatepass"))[:16]


def _model(data: Mapping[str, Any]) -> Model:
    volume = data.get("volume") or {}
    path: str = data["path"]
    claim = volume.get("persistentVolumeClaim")
    host_path = None if claim else volume.get("hostPath") or path.rstrip("/").rpartition("/")[0] or "/"
    return Model(data["name"], path, host_path, claim)


def _pods(name: str, data: Mapping[str, Any]) -> dict[str, Any]:
    fields = data[name]
    resources = fields.get("resources") or {}
    return {
        "name": name,
        "replicas": fields["replicas"],
        "image": fields.get("image") or data["image"],
        "image_pull_policy": fields.get("imagePullPolicy") or data.get("imagePullPolicy"),
        "cpu": canonical(resources["cpu"]) if "cpu" in resources else None,
        "memory": canonical(resources["memory"]) if "memory" in resources else None,
        "env": {key: str(value) for key, value in fields["env"].items()},
        "labels": fields["labels"],
        "annotations": fields["annotations"],
        "node_selector": fields["nodeSelector"],
        "tolerations": tuple({k: v for k, v in toleration.items() if v != ""} for toleration in fields["tolerations"]),
        "priority_class": fields.get("priorityClassName"),
    }


def _role(name: str, data: Mapping[str, Any], profile: Profile) -> Role:
    fields = data[name]
    return Role(
        **_pods(name, data),
        pod_group_size=fields["podGroupSize"],
        data_parallel=fields["dataParallel"],
        tensor_parallel=fields["tensorParallel"],
        distributed_dp=fields["distributedDp"],
        npus=fields.get("npus") or profile.npus,
        allow_partial_node=fields["allowPartialNode"],
        sp_block=fields.get("spBlock"),
        min_available=fields.get("minAvailable"),
        engine_args=fields["engineArgs"],
        shm_size=canonical(fields["shmSize"]),
        queue=fields.get("queue"),
    )


def _faults(data: Mapping[str, Any]) -> Faults:
    return Faults(data["scheduling"], data["retries"], data["subHealthy"], data.get("gracePeriodSeconds"))


def _engine(data: Mapping[str, Any]) -> Engine:
    command, script = data.get("command"), data.get("script")
    return Engine(
        startup_seconds=data["startupSeconds"],
        command=tuple(command) if command else None,
        script=Script(script["hostPath"], script["command"]) if script else None,
    )


def _override(data: Mapping[str, Any]) -> Override:
    kind, _, name = data["target"].partition("/")
    return Override(kind, name or None, data["patch"], data["reason"], data["owner"], data.get("expires"))
