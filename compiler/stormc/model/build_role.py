"""From checked fields to roles: what both engine roles share, flags, environment, volumes, KV transfer."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from stormc.digest import digest
from stormc.facts import limits
from stormc.finding import Path
from stormc.load.engines import EngineFacts, Engines
from stormc.model import kv
from stormc.model.app import KvTransfer
from stormc.model.flags import SIZE_FLAGS, Flag, merge_flags, read_flags
from stormc.model.pod_fields import SHARED, VOLUME_SOURCES
from stormc.model.profile import Profile
from stormc.model.quantity import canonical, times
from stormc.model.role import EnvValue, Prepended, Reference, Role, Volume


def build_roles(data: Mapping[str, Any], profile: Profile, moe: bool | None, engines: Engines) -> tuple[Role, Role]:
    """Prefill and decode."""
    return _role("prefill", data, profile, moe, engines), _role("decode", data, profile, moe, engines)


def facts_for(data: Mapping[str, Any], image: str, engines: Engines) -> tuple[EngineFacts, bool]:
    """The facts of the release line that engine.version or the image's tag names, and whether one does.

    Where none does, the facts of the newest stable line hold.
    """
    version = release_text(data["engine"].get("version", ""))
    line = ".".join(version.split(".")[:2]) if version else engines.of_image(image)
    is_known = line in engines.releases
    return engines[line if line is not None and is_known else engines.newest], is_known


def release_text(version: object) -> str:
    """0.23 of "v0.23" and of 0.23; 0.20 of 0.2, which is what YAML makes of it: no release is older than 0.7."""
    text = str(version).removeprefix("v")
    return f"{text}0" if isinstance(version, float) and version < 0.7 and len(text) == 3 else text


def _role(name: str, data: Mapping[str, Any], profile: Profile, moe: bool | None, engines: Engines) -> Role:
    fields = data[name]
    pods = build_pods(name, data)
    facts, facts_known = facts_for(data, pods["image"], engines)
    flags = merge_flags(
        read_flags(data["engine"].get("args") or {}, ("engine", "args"), facts),
        read_flags(fields["engineArgs"], (name, "engineArgs"), facts),
    )
    port, path = _kv_port(name, data, profile, flags, facts)
    shared = _shared(data, fields)
    return Role(
        **pods,
        pod_group_size=fields["podGroupSize"],
        data_parallel=fields["dataParallel"],
        tensor_parallel=fields["tensorParallel"],
        pipeline_parallel=_size("pipelineParallel", fields, flags),
        prefill_context=_size("prefillContextParallel", fields, flags),
        decode_context=_size("decodeContextParallel", fields, flags),
        distributed_dp=fields["distributedDp"],
        moe=moe,
        npus=fields.get("npus") or profile.npus,
        allow_partial_node=fields["allowPartialNode"],
        sp_block=fields.get("spBlock"),
        min_available=fields.get("minAvailable"),
        flags=flags,
        facts=facts,
        facts_known=facts_known,
        port=fields.get("port") or data["port"],
        kv_port=port,
        kv_port_path=path,
        host_network=shared.get("hostNetwork", False),
        interface=shared.get("interface"),
        shm_size=canonical(shared.get("shmSize", "16Gi")),
        queue=shared.get("queue"),
        requests=_requests(fields, profile),
        security_context=shared.get("securityContext") or {},
    )


def _requests(fields: Mapping[str, Any], profile: Profile) -> dict[str, str]:
    """What the pods request by their profile: nothing that the role names, and nothing with `resources: {}`."""
    resources = fields.get("resources")
    if resources is not None and not resources:
        return {}
    npus = fields.get("npus") or profile.npus
    return {name: times(each, npus) for name, each in profile.requests.items() if name not in (resources or {})}


def _shared(data: Mapping[str, Any], fields: Mapping[str, Any]) -> dict[str, Any]:
    """The fields that both engine roles may share, the role's own over those of the app."""
    of_app = {key: data[key] for key in SHARED if data.get(key) is not None}
    return {**of_app, **{key: fields[key] for key in SHARED if fields.get(key) is not None}}


def _size(field: str, fields: Mapping[str, Any], flags: Mapping[str, Flag]) -> int:
    """A size that a field gives, or a pasted flag, or 1."""
    flag = flags.get(SIZE_FLAGS[field])
    size = fields.get(field) or (flag.value if flag else None)
    return size if isinstance(size, int) and not isinstance(size, bool) and size > 0 else 1


def _kv_port(
    name: str, data: Mapping[str, Any], profile: Profile, flags: Mapping[str, Flag], facts: EngineFacts
) -> tuple[int, Path]:
    """The first KV port of a role and the place that says it: its own field, a pasted config, the app, the profile."""
    pasted = kv.pasted_port(flags[kv.CONFIG].value, facts) if kv.CONFIG in flags else None
    if data[name].get("kvPort"):
        return data[name]["kvPort"], (name, "kvPort")
    if pasted:
        return pasted[0], (*flags[kv.CONFIG].path, *pasted[1])
    return data["kvTransfer"].get("port") or profile.kv_port, ("kvTransfer", "port")


def build_kv(data: Mapping[str, Any], roles: tuple[Role, Role]) -> KvTransfer:
    """The KV transfer of an app: the connector that the spec names, else the pasted one, else the layerwise one."""
    configs = [role.engine_args.get(kv.CONFIG) for role in roles]
    pasted = (kv.pasted_connector(config, role.facts) for config, role in zip(configs, roles, strict=True))
    name = data.get("connector") or next(filter(None, pasted), limits.CONNECTORS[0])
    extra, facts = data.get("extra") or {}, roles[0].facts
    config = {"kv_connector": name, kv.EXTRA: extra}
    parts = [kv.carrying(part, facts) for part in (*configs, config) if isinstance(part, Mapping)]
    inner = next((part for part in parts if part and (name == kv.MULTI or part.name == name)), None)
    protocol = kv.protocol_of(inner.name, inner.config.get(kv.EXTRA) or {}, facts) if inner else kv.CARRYING[0]
    return KvTransfer(name, protocol, extra, data.get("pool"))


def build_pods(name: str, data: Mapping[str, Any]) -> dict[str, Any]:
    """The fields that every role has."""
    fields = data[name]
    resources = fields.get("resources") or {}
    serving = name in limits.SERVING_ROLES
    shared = _shared(data, fields) if serving else fields
    env, paths = _environment(name, data if serving else {}, fields)
    return {
        "name": name,
        "replicas": fields["replicas"],
        "image": fields.get("image") or data["image"],
        "image_pull_policy": fields.get("imagePullPolicy") or data.get("imagePullPolicy"),
        "cpu": canonical(resources["cpu"]) if "cpu" in resources else None,
        "memory": canonical(resources["memory"]) if "memory" in resources else None,
        "env": env,
        "env_paths": paths,
        "labels": fields["labels"],
        "annotations": fields["annotations"],
        "node_selector": fields["nodeSelector"],
        "tolerations": _tolerations(data.get("tolerations") if serving else None, fields.get("tolerations")),
        "priority_class": shared.get("priorityClassName"),
        "volumes": tuple(_volumes(name, data if serving else {}, fields)),
    }


def _environment(
    name: str, data: Mapping[str, Any], fields: Mapping[str, Any]
) -> tuple[dict[str, EnvValue], dict[str, Path]]:
    shared = (data.get("engine") or {}).get("env") or {}
    values, paths = {**shared, **fields["env"]}, {key: ("engine", "env", key) for key in shared}
    return {key: _env_value(value) for key, value in values.items()}, {
        key: (name, "env", key) if key in fields["env"] else paths[key] for key in values
    }


def _env_value(value: Any) -> EnvValue:
    if isinstance(value, dict):
        return Prepended(value["prepend"]) if "prepend" in value else Reference(_reference(value))
    return None if value is None else str(value)


def _reference(value: Mapping[str, Any]) -> dict[str, Any]:
    """A reference as the API server keeps it: it adds the version of a field's schema."""
    if "fieldRef" in value:
        return {"fieldRef": {"apiVersion": "v1", **value["fieldRef"]}}
    if "divisor" in value.get("resourceFieldRef", {}):
        inner = value["resourceFieldRef"]
        return {"resourceFieldRef": {**inner, "divisor": canonical(inner["divisor"])}}
    return dict(value)


def _tolerations(shared: Any, own: Any) -> tuple[Mapping[str, Any], ...]:
    """The app's tolerations and the role's; a role's own takes the place of the app's for the same taint."""
    of_role = list(own or ())
    taints = {(t.get("key"), t.get("effect")) for t in of_role}
    of_app = [t for t in shared or () if (t.get("key"), t.get("effect")) not in taints]
    return tuple({k: v for k, v in toleration.items() if v != ""} for toleration in (*of_app, *of_role))


def _volumes(name: str, data: Mapping[str, Any], fields: Mapping[str, Any]) -> Iterator[Volume]:
    """The app's volumes and the role's; a role's own takes the place of the app's at the same directory."""
    own = fields.get("volumes") or ()
    mine = {entry["mountPath"].rstrip("/") for entry in own}
    for index, entry in enumerate(data.get("volumes") or ()):
        if entry["mountPath"].rstrip("/") not in mine:
            yield _volume(entry, ("volumes", index))
    for index, entry in enumerate(own):
        yield _volume(entry, (name, "volumes", index))


def _volume(entry: Mapping[str, Any], path: Path) -> Volume:
    mount_path = entry["mountPath"].rstrip("/") or "/"
    kind = next(key for key in VOLUME_SOURCES if entry.get(key) is not None)
    source = entry[kind]
    if isinstance(source, str):
        field = {"hostPath": "path", "persistentVolumeClaim": "claimName", "secret": "secretName"}.get(kind, "name")
        source = {field: source}
    if kind == "emptyDir" and "sizeLimit" in source:
        source = {**source, "sizeLimit": canonical(source["sizeLimit"])}
    words = re.sub(r"[^a-z0-9]+", "-", mount_path.lower()).strip("-") or "root"
    name = entry.get("name") or (f"at-{words}" if len(words) < 60 else f"at-{digest(mount_path.encode())[:20]}")
    return Volume(name, {kind: source}, mount_path, entry.get("readOnly", False), entry.get("subPath"), path)
