"""From checked fields to the frozen model: pure construction, every default settled."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from stormc.digest import digest
from stormc.load.engines import Engines
from stormc.model.app import App, Engine, Faults, Model, Override, Script
from stormc.model.build_role import build_kv, build_pods, build_roles, release_text
from stormc.model.profile import Platform, Profile
from stormc.model.proxy_fields import PROXY
from stormc.model.role import Routing
from stormc.payload.read import Payload


def build_app(
    data: Mapping[str, Any],
    spec_file: str,
    profile: Profile,
    platform: Platform,
    payload: Payload,
    engines: Engines,
) -> App:
    """The app of checked and normalised fields on a known profile and platform."""
    moe = data["model"].get("moe", True if data["expertParallel"] or _pasted_expert_parallel(data) else None)
    roles = build_roles(data, profile, moe, engines)
    return App(
        name=data["name"],
        namespace=data.get("namespace") or platform.namespace,
        spec_file=spec_file,
        digest=_digest(data),
        model=_model(data["model"], moe),
        image_pull_secrets=tuple(dict.fromkeys(data["imagePullSecrets"])),
        profile=profile,
        host_arch=data.get("hostArch") or profile.host_arch,
        port=data["port"],
        kv=build_kv(data["kvTransfer"], roles),
        expert_parallel=data["expertParallel"],
        prefill=roles[0],
        decode=roles[1],
        routing=Routing(**build_pods("routing", data)),
        faults=_faults(data["faults"]),
        engine=_engine(data["engine"]),
        proxy={key: data["proxy"][key] for key in PROXY if key in data["proxy"] and key != "source"},
        proxy_source=data["proxy"]["source"],
        network_policy=data["networkPolicy"],
        gateway=data.get("gateway") or ("roles" if all(role.every_pod_serves for role in roles) else "off"),
        overrides=tuple(map(_override, data["overrides"])),
        payload=payload,
    )


def _pasted_expert_parallel(data: Mapping[str, Any]) -> bool:
    """Whether a flag shards the experts of the model, which only a mixture of experts has."""
    tables = (data["engine"].get("args") or {}, data["prefill"]["engineArgs"], data["decode"]["engineArgs"])
    return any(args.get(key) is True for args in tables for key in ("enable-expert-parallel", "enable_expert_parallel"))


def _digest(data: Mapping[str, Any]) -> str:
    """A digest of what the spec says, the same for any order of its keys."""
    text = json.dumps(data, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return digest(text.encode("utf-8", "surrogatepass"))[:16]


def _model(data: Mapping[str, Any], moe: bool | None) -> Model:
    volume = data.get("volume") or {}
    path: str = data["path"]
    claim = volume.get("persistentVolumeClaim")
    host_path = None if claim else volume.get("hostPath") or path.rstrip("/").rpartition("/")[0] or "/"
    return Model(data["name"], path, host_path, claim, moe)


def _faults(data: Mapping[str, Any]) -> Faults:
    return Faults(data["scheduling"], data["retries"], data["subHealthy"], data.get("gracePeriodSeconds"))


def _engine(data: Mapping[str, Any]) -> Engine:
    command, script = data.get("command"), data.get("script")
    return Engine(
        startup_seconds=data["startupSeconds"],
        command=tuple(command) if command else None,
        script=Script(script["hostPath"], script["command"]) if script else None,
        version=release_text(data["version"]) if "version" in data else None,
        load_minutes=data.get("loadMinutes"),
    )


def _override(data: Mapping[str, Any]) -> Override:
    kind, _, name = data["target"].partition("/")
    return Override(kind, name or None, data["patch"], data["reason"], data["owner"], data.get("expires"))
