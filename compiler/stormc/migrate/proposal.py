"""A first spec for a StormService, from its fields, labels, environment and command lines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from stormc.facts.keys import (
    HOST_ARCHES,
    RECOVERING,
    SUB_HEALTHY_VALUES,
    Annotation,
    Directory,
    Label,
    NodeLabel,
    Resource,
)
from stormc.facts.limits import ROUTING, SERVING_ROLES, SPEC_VERSION
from stormc.finding import Path
from stormc.load.releases import version
from stormc.migrate.command_line import LAUNCHER
from stormc.migrate.note import ASSUMED, LACKING, LEFT_OUT, Note
from stormc.migrate.role_facts import RoleFacts
from stormc.migrate.serve import kv_transfer
from stormc.model import schema
from stormc.model.flags import SIZE_FLAGS
from stormc.model.profile import Profile
from stormc.model.quantity import canonical, whole_number
from stormc.phrase import NONE, chained, phrase
from stormc.record import NamedTuple
from stormc.targets.storm_service import ROLES

NPU_RESOURCES = (Resource.ASCEND_910, Resource.NPU)
_TOLERATION = ("key", "operator", "value", "effect", "tolerationSeconds")


class Chosen(NamedTuple):
    """What the user adds because the file does not tell it."""

    hardware: str | None = None
    model_path: str | None = None


class Proposal(NamedTuple):
    """The fields that the spec has for a StormService, None where a required one is nowhere to be found."""

    spec: dict[str, Any] | None
    notes: list[Note]
    engines: dict[str, str]
    """Role → the container that runs its engine."""
    router: str | None
    """The role whose place stormc's routing role takes."""
    as_fields: bool = False
    """Whether the engines' command lines became fields."""


def propose(storm: Mapping[str, Any], profiles: Mapping[str, Profile], chosen: Chosen) -> Proposal:
    """The spec of a StormService as far as its fields reach; the rest is found by comparison."""
    entries = ((storm.get("spec") or {}).get("template") or {}).get("spec") or {}
    roles = {r.get("name", ""): RoleFacts(i, r, r.get("name", "")) for i, r in enumerate(entries.get("roles") or ())}
    notes: list[Note] = []
    missing = [name for name in SERVING_ROLES if name not in roles]
    if missing:
        return Proposal(None, [_lacking(roles, missing)], {}, None)
    serving = [roles[name] for name in SERVING_ROLES]
    router = _router(roles, notes)
    hardware = _hardware(serving, profiles, chosen, notes)
    model = _model(serving, chosen, notes)
    if hardware is None or model is None:
        return Proposal(None, notes, {}, None)
    metadata = storm.get("metadata") or {}
    spec: dict[str, Any] = {
        "apiVersion": SPEC_VERSION, "kind": "App", "name": metadata.get("name"),
        "namespace": metadata.get("namespace") or "default", "model": model, "hardware": hardware.name,
    }  # fmt: skip
    as_fields = all(role.served for role in serving)
    spec |= {} if as_fields else {**_engine(serving), **_kv_transfer(serving[0], hardware, notes)}
    spec |= _of_all_roles(roles, serving, hardware)
    for role in serving:
        spec[role.name] = _role(role, hardware, notes) | (role.as_fields() if as_fields else {})
        if role.engine.get("image") != spec["image"]:
            spec[role.name]["image"] = str(role.engine.get("image", ""))
    if router is not None:
        spec[ROUTING] = _routing(router, spec["image"], notes)
    spec |= {"faults": _faults(serving), "gateway": _gateway(serving, router)}
    engines = {r.name: str(r.engine.get("name")) for r in serving}
    return Proposal(spec, notes, engines, router.name if router else None, as_fields)


def _lacking(roles: Mapping[str, RoleFacts], missing: list[str]) -> Note:
    names = ", ".join(roles) or phrase("none")
    at: Path = ROLES if roles else ("spec",)
    return Note(LACKING, at, phrase("no role {missing}; the roles are: {said}",
                                    missing=chained(missing, "{words} and no role {last}"), said=names),
                phrase("stormc compiles services of prefill and decode"))  # fmt: skip


def _router(roles: Mapping[str, RoleFacts], notes: list[Note]) -> RoleFacts | None:
    """The role named routing, or the only other one if it has no accelerators."""
    if ROUTING in roles:
        return roles[ROUTING]
    others = [role for name, role in roles.items() if name not in SERVING_ROLES]
    if len(others) != 1 or others[0].accelerators:
        return None
    notes.append(Note(ASSUMED, others[0].path, phrase("role {router} is taken for the router", router=others[0].name),
                      phrase("it becomes routing")))  # fmt: skip
    return others[0]


def _of_all_roles(roles: Mapping[str, RoleFacts], serving: Sequence[RoleFacts], hardware: Profile) -> dict[str, Any]:
    """The fields that the roles share."""
    fields: dict[str, Any] = {"image": str(serving[0].engine.get("image", ""))}
    if secrets := [s["name"] for role in roles.values() for s in role.pod.get("imagePullSecrets") or () if "name" in s]:
        fields["imagePullSecrets"] = list(dict.fromkeys(secrets))
    arch = {value: key for key, value in HOST_ARCHES.items()}.get(_selector(serving[0]).get(NodeLabel.HOST_ARCH, ""))
    if arch and arch != hardware.host_arch:
        fields["hostArch"] = arch
    fields["port"] = _port(serving)
    if any("enable-expert-parallel" in role.flags for role in serving):
        fields["expertParallel"] = True
    return fields


def _selector(role: RoleFacts) -> Mapping[str, str]:
    return role.pod.get("nodeSelector") or {}


def _hardware(
    serving: Sequence[RoleFacts], profiles: Mapping[str, Profile], chosen: Chosen, notes: list[Note]
) -> Profile | None:
    """The profile that fits accelerator-type, schedule_policy, resource, NPU count and sp-block; said when inferred."""
    if chosen.hardware:
        return profiles[chosen.hardware]
    role = serving[0]
    npus = {r: n for r, n in role.accelerators.items() if r in NPU_RESOURCES}
    kind, policy = _selector(role).get(NodeLabel.ACCELERATOR_TYPE), role.annotations.get(Annotation.SCHEDULE_POLICY)
    selectors = ((NodeLabel.ACCELERATOR_TYPE, kind), ("schedule_policy", policy))
    named = [f"{key} {value}" for key, value in selectors if value]
    if not named and not npus:
        devices = ", ".join(role.accelerators) or phrase("no accelerator")
        text = phrase("the hardware cannot be told: {seen}, no accelerator-type, no schedule_policy", seen=devices)
        notes.append(Note(LACKING, role.path, text,
                          phrase("name a profile with --hardware; stormc profiles lists them")))  # fmt: skip
        return None
    count = max(npus.values(), default=0)
    fits = [
        p for p in profiles.values()
        if kind in (None, p.accelerator_type) and policy in (None, p.schedule_policy)
        and (not npus or (p.resource in npus and count <= p.npus and (named or count == p.npus)))
        and (named or p.super_pod == (Annotation.SP_BLOCK in role.annotations))
    ]  # fmt: skip
    if not fits:
        text = phrase("no profile has {value}", value=", ".join([*named, *(f"{n} {r}" for r, n in npus.items())]))
        notes.append(Note(LACKING, role.path, text,
                          phrase("name a profile with --hardware, or write one (docs/spec.md)")))  # fmt: skip
        return None
    blocks = Annotation.SP_BLOCK in role.annotations
    best, *rest = sorted(fits, key=lambda p: (p.super_pod != blocks, not p.documented, version(p.mindcluster), p.name))
    since = ", ".join(named) or phrase("{count} NPUs per pod", count=count)
    text, hint = phrase("hardware {best}: it has {since}", best=best.name, since=since), NONE
    if rest:
        others = ", ".join(sorted(p.name for p in rest))
        text, hint = phrase("{text}, as well as {others}", text=text, others=others), phrase("--hardware names another")
    notes.append(Note(ASSUMED, role.path, text, hint))
    return best


def _model(serving: Sequence[RoleFacts], chosen: Chosen, notes: list[Note]) -> dict[str, Any] | None:
    role = serving[0]
    path = chosen.model_path or role.flag("model", "model-path") or role.env.get("MODEL_PATH") or ""
    if not path.startswith("/"):
        reason = phrase("no --model, no vllm serve PATH, no MODEL_PATH")
        if path:
            reason = phrase("{path!r} is no directory", path=path)
        text = phrase("the model's directory cannot be told: {seen}", seen=reason)
        notes.append(Note(LACKING, role.path, text, phrase("name it with --model-path")))
        return None
    name = role.labels.get(Label.MODEL_NAME) or role.flag("served-model-name") or role.env.get("MODEL_NAME")
    model: dict[str, Any] = {"name": name or path.rstrip("/").rpartition("/")[2], "path": path}
    mounts = {str(m.get("mountPath", "")).rstrip("/"): m for m in role.engine.get("volumeMounts") or ()}
    below = [at for at in mounts if f"{path}/".startswith(f"{at}/")]
    if not below:
        return model
    at = max(below, key=len)
    volumes = {v.get("name"): v for v in role.pod.get("volumes") or ()}
    volume = volumes.get(mounts[at].get("name")) or {}
    if at == path.rstrip("/"):
        # The volume is mounted on the parent of model.path; this spelling makes the directory itself the parent.
        model["path"] = f"{at}/."
    parent = model["path"].rstrip("/").rpartition("/")[0]
    host, claim = (volume.get("hostPath") or {}).get("path"), volume.get("persistentVolumeClaim") or {}
    if claim.get("claimName") and at == parent:
        model["volume"] = {"persistentVolumeClaim": claim["claimName"]}
    elif host and host.rstrip("/") + parent.removeprefix(at) != parent:
        model["volume"] = {"hostPath": host.rstrip("/") + parent.removeprefix(at)}
    return model


def _engine(serving: Sequence[RoleFacts]) -> dict[str, Any]:
    """How the engines start; the launcher of stormc needs no field."""
    prefill = serving[0]
    if prefill.command == LAUNCHER:
        return {}
    directory = prefill.engine.get("workingDir")
    paths = {v.get("name"): (v.get("hostPath") or {}).get("path") for v in prefill.pod.get("volumes") or ()}
    mounted = any(
        m.get("mountPath") == directory == paths.get(m.get("name")) for m in prefill.engine.get("volumeMounts") or ()
    )
    whole = prefill.command + prefill.arguments
    if directory and mounted and whole[:2] == ["/bin/bash", "-c"] and len(whole) == 3:
        return {"engine": {"script": {"hostPath": directory, "command": whole[2]}}}
    return {"engine": {"command": whole}} if whole else {}


def _port(serving: Sequence[RoleFacts]) -> int:
    role = serving[0]
    label = str(role.labels.get(Label.MODEL_PORT, ""))
    ports = [p.get("containerPort") for p in role.engine.get("ports") or ()]
    port = role.number("port") or whole_number(label) or next(iter(ports), None)
    return int(port) if port else int(schema.APP["port"]["default"])


def _kv_transfer(role: RoleFacts, hardware: Profile, notes: list[Note]) -> dict[str, Any]:
    connector, unknown = kv_transfer(role.flag("kv-transfer-config"), role.facts, hardware.kv_port)
    if unknown:
        text = phrase("release {release} has no connector {name}", release=role.facts.release, name=unknown)
        hint = phrase("stormc engines {release} lists them", release=role.facts.release)
        notes.append(Note(LEFT_OUT, role.path, text, hint))
    return {"kvTransfer": connector} if connector else {}


def _role(role: RoleFacts, hardware: Profile, notes: list[Note]) -> dict[str, Any]:
    npus = max(role.accelerators.values(), default=hardware.npus)
    foreign = [name for name in role.accelerators if name != hardware.resource]
    for name in foreign:
        notes.append(Note(LEFT_OUT, role.path, phrase("{role} asks for {name}", role=role.name, name=name),
                          phrase("it becomes {resource}", resource=hardware.resource)))  # fmt: skip
    stem = role.name.upper()
    env = {key: number for key, value in role.env.items() if (number := whole_number(str(value))) is not None}
    one = "nnodes" in role.flags  # the pods of an instance are one rank
    ranks = role.number("data-parallel-size", "dp-size") or env.get(f"{stem}_DP_SIZE") or (1 if one else role.size)
    tp = role.number("tensor-parallel-size", "tp-size") or env.get(f"{stem}_TP_SIZE")
    if tp is None:
        tp = max(1, npus // max(1, ranks // role.size))
        notes.append(Note(ASSUMED, role.path, phrase("{role}.tensorParallel {tp}: the ranks fill the pod's {npus} NPUs",
                                                     role=role.name, tp=tp, npus=npus)))  # fmt: skip
    external = role.env.get("DISTRIBUTED_DP") == "true" or "data-parallel-rank" in role.flags
    external = external or role.arguments[:1] == ["--external-dp"]
    fields: dict[str, Any] = {"replicas": role.role.get("replicas") or 1, "podGroupSize": role.size,
                            "dataParallel": ranks, "tensorParallel": tp}  # fmt: skip
    if ranks > 1 and not external:
        fields["distributedDp"] = False
    fields |= {field: size for field, flag in SIZE_FLAGS.items() if (size := role.number(flag) or 1) > 1}
    if npus != hardware.npus:
        fields |= {"npus": npus, "allowPartialNode": True}
    for field, key in (("minAvailable", Annotation.SCHEDULE_MIN_AVAILABLE), ("spBlock", Annotation.SP_BLOCK)):
        value = whole_number(str(role.annotations.get(key, "")))
        if value is not None:
            fields[field] = value
    if Annotation.QUEUE_NAME in role.annotations:
        fields["queue"] = role.annotations[Annotation.QUEUE_NAME]
    memory = _shm_size(role)
    if memory is not None:
        fields["shmSize"] = memory
    return fields | _pods(role)


def _shm_size(role: RoleFacts) -> Any:
    """The size of the volume at /dev/shm."""
    return next(
        (v["emptyDir"]["sizeLimit"] for v in role.pod.get("volumes") or () if (v.get("emptyDir") or {}).get("sizeLimit")
         and any(m.get("name") == v["name"] and m.get("mountPath") == Directory.SHM
                 for m in role.engine.get("volumeMounts") or ())),
        None,
    )  # fmt: skip


def _pods(role: RoleFacts) -> dict[str, Any]:
    """The fields that every role has."""
    fields: dict[str, Any] = {}
    if role.engine.get("imagePullPolicy"):
        fields["imagePullPolicy"] = role.engine["imagePullPolicy"]
    resources = role.engine.get("resources") or {}
    limits = resources.get("limits") or {}  # a request without one is the profile's share, or an override
    if amounts := {name: limits[name] for name in ("cpu", "memory") if name in limits}:
        fields["resources"] = {name: _quantity(value) for name, value in amounts.items()}
    tolerations = role.pod.get("tolerations") or []
    if tolerations and all(set(t) <= set(_TOLERATION) for t in tolerations):
        fields["tolerations"] = tolerations
    if role.pod.get("priorityClassName"):
        fields["priorityClassName"] = role.pod["priorityClassName"]
    return fields


def _quantity(value: Any) -> Any:
    try:
        return canonical(value)
    except ValueError:
        return value


def _routing(router: RoleFacts, image: str, notes: list[Note]) -> dict[str, Any]:
    fields: dict[str, Any] = {"replicas": router.role.get("replicas") or 1}
    own = router.engine.get("image")
    repository = image.partition("@")[0].rpartition(":")[0]
    if own and own != image:
        if str(own).partition("@")[0].rpartition(":")[0] == repository:
            fields["image"] = own
        else:
            text, hint = (
                phrase("image {own} of role {router} is not copied", own=own, router=router.name),
                phrase("routing.image needs Python 3.10 or newer"),
            )
            notes.append(Note(LEFT_OUT, router.path, text, hint))
    return fields | _pods(router)


def _faults(serving: Sequence[RoleFacts]) -> dict[str, Any]:
    labels = serving[0].labels
    scheduling = labels.get(Label.FAULT_SCHEDULING)
    fields: dict[str, Any] = {"scheduling": scheduling if scheduling in RECOVERING else "off"}
    retries = whole_number(str(labels.get(Label.FAULT_RETRY_TIMES, "0")))
    if fields["scheduling"] != "off" and retries is not None:
        fields["retries"] = retries
    if labels.get(Label.SUB_HEALTHY_STRATEGY) in SUB_HEALTHY_VALUES[1:]:
        fields["subHealthy"] = labels[Label.SUB_HEALTHY_STRATEGY]
    grace = serving[0].pod.get("terminationGracePeriodSeconds")
    if fields["scheduling"] == "grace" and grace:
        fields["gracePeriodSeconds"] = grace
    return fields


def every_pod_serves(role: Mapping[str, Any]) -> bool:
    """Whether every pod of a role with these fields, without those at their defaults, answers HTTP."""
    ranks: int = role.get("dataParallel", 1)
    return role.get("podGroupSize", 1) == 1 or (ranks > 1 and bool(role.get("distributedDp", True)))


def _gateway(serving: Sequence[RoleFacts], router: RoleFacts | None) -> str:
    if any(Label.MODEL_NAME in role.labels for role in serving):
        return "roles"
    return "router" if router is not None and Label.MODEL_NAME in router.labels else "off"
