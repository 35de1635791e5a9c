"""MindCluster's k8s-deploy-tool: from its config to the objects that it makes.

Sources, all of mindcluster-deploy k8s-deploy-tool: config/stormservice-config.yaml (the fields),
src/core/job_manager.py (what is required, Services), src/templates/aibrix/stormservice.yaml.j2 and
server_service.yaml.j2 (the objects).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from stormc.facts.keys import VOLCANO, Annotation, Directory, Env, Label, Resource
from stormc.facts.kinds import API_VERSIONS
from stormc.facts.limits import ROUTING, SERVING_ROLES
from stormc.finding import Path, closest, dotted, shown
from stormc.migrate.note import ASSUMED, LACKING, LEFT_OUT, MISSPELT, Note
from stormc.model.quantity import whole_number
from stormc.model.schema import ROLE
from stormc.phrase import NONE, phrase
from stormc.targets.storm_service import ROLES, pod_labels
from stormc.targets.storm_service import roles as roles_of

Manifest = dict[str, Any]

PORT = 8080
SCRIPTS, MODELS, HCCN = "/scripts", "/mnt/models", Directory.HCCN_CONF
RESOURCE = Resource.ASCEND_910

_COUNTS: Mapping[str, int] = {
    "replicas": ROLE["replicas"]["max"], "podGroupSize": ROLE["podGroupSize"]["max"],
    "dp_size": ROLE["dataParallel"]["max"], "tp_size": ROLE["tensorParallel"]["max"], "npu_num": ROLE["npus"]["max"],
}  # fmt: skip
"""The counts of a role and the most that a spec may say: the tool makes objects by them."""
_MOST_PODS = 4096
"""Of a role; each has a Service."""
_TABLES = ("annotations", "labels", "nodeSelector")
_ROLE = (*_COUNTS, "image", *_TABLES)
_FIELDS: Mapping[Path, tuple[str, ...]] = {
    (): ("app_name", "app_namespace", "storm_service"),
    ("storm_service",): ("model_name", "model_path", "distributed_dp", *SERVING_ROLES, ROUTING),
    **{("storm_service", role): _ROLE for role in SERVING_ROLES},
    ("storm_service", ROUTING): ("replicas", "image", *_TABLES),
}
_REQUIRED: tuple[Path, ...] = (
    ("app_name",),
    ("storm_service",),
    *(("storm_service", field) for field in ("model_name", "model_path", *SERVING_ROLES)),
    *(("storm_service", role, "image") for role in SERVING_ROLES),
)


def is_config(data: Mapping[str, Any]) -> bool:
    """Whether a document is a config of the tool."""
    return "storm_service" in data and "apiVersion" not in data


def objects(config: Mapping[str, Any]) -> tuple[list[Manifest], list[Note]]:
    """The StormService and Services that the tool makes of a config, and what it hides; nothing where it has none."""
    notes = list(_shape(config))
    if any(note.rule[0] == "E" for note in notes):
        return [], notes
    settled = _settled(config, notes)
    roles = settled["storm_service"]
    services = [s for name in SERVING_ROLES for s in _services(settled, name, roles[name])]
    return [_storm_service(settled), *services], notes


def place(path: Path, storm: Mapping[str, Any]) -> Path:
    """Where the config says what stands at a path of the StormService that was made of it."""
    if path[:4] == ROLES and len(path) > 4 and isinstance(path[4], int):
        role = roles_of(storm)[path[4]]["name"]
        table = next((step for step in path if step in _TABLES), None)
        if table is None:
            return ("storm_service", role)
        return ("storm_service", role, table, *path[path.index(table) + 1 :][:1])
    return ("app_name",) if path[:1] == ("metadata",) else ()


def _shape(config: Mapping[str, Any]) -> Iterator[Note]:
    for path, fields in _FIELDS.items():
        node = _at(config, path)
        if node is None:
            continue
        if not isinstance(node, dict):
            yield Note(LACKING, path,
                       phrase("{path} must be a mapping, got {node}", path=dotted(path), node=shown(node)))  # fmt: skip
            continue
        for key in (key for key in node if key not in fields):
            meant = closest(key, fields)
            message = phrase("the k8s-deploy-tool does not read {path}; not copied", path=dotted((*path, key)))
            yield Note(MISSPELT, (*path, key), message, phrase("did you mean {meant}?", meant=meant) if meant else NONE,
                       at_key=True)  # fmt: skip
        for table in _TABLES:
            if not isinstance(node.get(table) or {}, dict):
                yield Note(LACKING, (*path, table), phrase("{path} must be a mapping", path=dotted((*path, table))))
    for path in _REQUIRED:
        if _at(config, path) in (None, "") and isinstance(_at(config, path[:-1]), dict):
            yield Note(LACKING, path[:-1], phrase("{path} is missing", path=dotted(path)),
                       phrase("the k8s-deploy-tool requires it too"))  # fmt: skip
    for path in (*_REQUIRED, ("app_namespace",), ("storm_service", ROUTING, "image")):
        value = _at(config, path)
        if path[-1] not in ("storm_service", *SERVING_ROLES) and isinstance(value, (dict, list)):
            yield Note(LACKING, path, phrase("{path} must be a string, got {value}", path=dotted(path),
                                             value=shown(value)))  # fmt: skip
    for role in (*SERVING_ROLES, ROUTING):
        fields = _at(config, ("storm_service", role))
        if isinstance(fields, dict):
            yield from _counts(role, fields)


def _counts(role: str, fields: Mapping[str, Any]) -> Iterator[Note]:
    for count, most in _COUNTS.items():
        if count in fields and not 1 <= (_count(fields[count]) or 0) <= most:
            at: Path = ("storm_service", role, count)
            text = phrase(
                "{at} must be a whole number from 1 to {most}, got {fields}",
                at=dotted(at),
                most=most,
                fields=shown(fields[count]),
            )
            yield Note(LACKING, at, text)
    pods = (_count(fields.get("replicas")) or 1) * (_count(fields.get("podGroupSize")) or 1)
    if pods > _MOST_PODS:
        text = phrase(
            "storm_service.{role} has {pods} pods, more than {most_pods}", role=role, pods=pods, most_pods=_MOST_PODS
        )
        yield Note(LACKING, ("storm_service", role), text, phrase("lower replicas or podGroupSize"))


def _at(data: Any, path: Path) -> Any:
    for step in path:
        data = data.get(step) if isinstance(data, dict) else None
    return data


def _count(value: object) -> int | None:
    if isinstance(value, str):
        value = whole_number(value)
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else None


def _settled(config: Mapping[str, Any], notes: list[Note]) -> dict[str, Any]:
    """The config with every default and with the types that are meant."""
    service = dict(config["storm_service"])
    distributed = service.get("distributed_dp", "true")
    if (
        str(distributed).lower() not in ("true", "false")
        or not isinstance(distributed, str)
        or distributed.lower() != distributed
    ):
        text = phrase("storm_service.distributed_dp is {said}; the k8s-deploy-tool wants the string true or false",
                      said=shown(distributed))  # fmt: skip
        notes.append(Note(ASSUMED, ("storm_service", "distributed_dp"), text,
                          phrase("read as {said}", said=_truth(distributed))))  # fmt: skip
    service["distributed_dp"] = _truth(distributed)
    for role in (*SERVING_ROLES, ROUTING):
        fields = service.get(role)
        if not isinstance(fields, dict):
            continue
        service[role] = fields = dict(fields)
        for count in _COUNTS:
            if isinstance(fields.get(count), str):
                at: Path = ("storm_service", role, count)
                notes.append(Note(ASSUMED, at, phrase("{at} is a string", at=dotted(at)),
                                  phrase("read as {fields}", fields=fields[count])))  # fmt: skip
            fields[count] = _count(fields.get(count, 1))
        for table in _TABLES:
            fields[table] = {key: _text(value) for key, value in (fields.get(table) or {}).items()}
    if service["distributed_dp"] == "true" and ROUTING not in service:
        notes.append(Note(LEFT_OUT, ("storm_service",),
                          phrase("distributed_dp needs a routing role, and there is none"),
                          phrase("stormc always has one")))  # fmt: skip
    namespace = config.get("app_namespace") or "default"
    return {"app_name": str(config["app_name"]), "app_namespace": str(namespace), "storm_service": service}


def _truth(value: object) -> str:
    return "true" if str(value).lower() in ("true", "yes", "on", "1") else "false"


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _storm_service(config: Mapping[str, Any]) -> Manifest:
    service, app = config["storm_service"], {"app": config["app_name"]}
    roles = [_engine(config, role) for role in SERVING_ROLES]
    if isinstance(service.get(ROUTING), dict):
        roles.append(_routing(service))
    return {
        "apiVersion": API_VERSIONS["StormService"], "kind": "StormService",
        "metadata": {"name": config["app_name"], "namespace": config["app_namespace"]},
        "spec": {
            "replicas": 1, "stateful": True, "updateStrategy": {"type": "InPlaceUpdate"},
            "selector": {"matchLabels": app}, "template": {"metadata": {"labels": app}, "spec": {"roles": roles}},
        },
    }  # fmt: skip


def _engine(config: Mapping[str, Any], name: str) -> Manifest:
    service = config["storm_service"]
    role, other = service[name], service["decode" if name == "prefill" else "prefill"]
    size, single = role["podGroupSize"], role["podGroupSize"] == 1
    gang = role["replicas"] + (other["replicas"] if other["podGroupSize"] == 1 else 0) if single else size
    annotations = {Annotation.SCHEDULE_MIN_AVAILABLE: str(gang)}
    labels = {
        Label.MODEL_NAME: str(service["model_name"]), Label.MODEL_PORT: str(PORT),
        Label.MODEL_ENGINE: "vllm", Label.FAULT_SCHEDULING: "force",
    }  # fmt: skip
    if single:
        annotations[Annotation.RECOVER_POLICY_PATH] = "pod"
        labels[Label.POD_RESCHEDULING] = "on"
    npus = {RESOURCE: str(role["npu_num"])}
    env = _environment(service, PREFILL_NUM="replicas", PREFILL_DP_SIZE="dp_size", PREFILL_TP_SIZE="tp_size",
                       DECODE_NUM="replicas", DECODE_DP_SIZE="dp_size", DECODE_TP_SIZE="tp_size")  # fmt: skip
    env += [{"name": "MODEL_NAME", "value": str(service["model_name"])},
            {"name": "MODEL_PATH", "value": str(service["model_path"])}]  # fmt: skip
    mounts = (("model", MODELS), ("shared-mem", Directory.SHM), ("scripts", SCRIPTS), ("hccn", HCCN))
    container = {
        "name": name, "image": str(role["image"]), "workingDir": SCRIPTS, "command": ["/bin/bash", "-c"],
        "args": ["bash start_server.sh"], "env": env, "resources": {"limits": npus, "requests": npus},
        "volumeMounts": [{"name": volume, "mountPath": path} for volume, path in mounts],
    }  # fmt: skip
    volumes = [
        {"name": "model", "hostPath": {"path": MODELS, "type": "Directory"}},
        {"name": "shared-mem", "emptyDir": {"medium": "Memory"}},
        {"name": "scripts", "hostPath": {"path": SCRIPTS}}, {"name": "hccn", "hostPath": {"path": HCCN}},
    ]  # fmt: skip
    pod = {"schedulerName": VOLCANO, "nodeSelector": role["nodeSelector"], "containers": [container]}
    return {
        "name": name, "replicas": role["replicas"], "podGroupSize": size, "stateful": True,
        "template": {
            "metadata": {"annotations": annotations | role["annotations"], "labels": labels | role["labels"]},
            "spec": {**pod, "volumes": volumes},
        },
    }  # fmt: skip


def _routing(service: Mapping[str, Any]) -> Manifest:
    role = service[ROUTING]
    env = _environment(service, PREFILL_NUM="replicas", PREFILL_POD="podGroupSize", PREFILL_DP_SIZE="dp_size",
                       DECODE_NUM="replicas", DECODE_POD="podGroupSize", DECODE_DP_SIZE="dp_size")  # fmt: skip
    container = {
        "name": "router", "workingDir": SCRIPTS, "command": ["/bin/bash", "-c"], "args": ["bash start_proxy.sh"],
        "env": env, "volumeMounts": [{"name": "scripts", "mountPath": SCRIPTS}],
    }  # fmt: skip
    if role.get("image"):
        container["image"] = str(role["image"])
    volumes = [{"name": "scripts", "hostPath": {"path": SCRIPTS}}]
    return {
        "name": ROUTING, "replicas": role["replicas"], "stateful": True,
        "template": {
            "metadata": {"annotations": role["annotations"], "labels": role["labels"]},
            "spec": {"nodeSelector": role["nodeSelector"], "containers": [container], "volumes": volumes},
        },
    }  # fmt: skip


def _environment(service: Mapping[str, Any], **counts: str) -> list[Manifest]:
    env: list[Manifest] = [
        {"name": Env.POD_IP, "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}},
        {"name": "DISTRIBUTED_DP", "value": service["distributed_dp"]},
    ]
    for name, field in counts.items():
        role = name.partition("_")[0].lower()
        env.append({"name": name, "value": str(service[role][field])})
    return env


def _services(config: Mapping[str, Any], name: str, role: Mapping[str, Any]) -> Iterator[Manifest]:
    size, external = role["podGroupSize"], config["storm_service"]["distributed_dp"] == "true"
    ports = [("http", PORT)]
    if external:
        ports = [(f"http-{rank}", PORT + rank) for rank in range(role["dp_size"] // size)]
    for replica in range(role["replicas"]):
        for pod in range(size if external else 1):
            stem = f"{config['app_name']}-{name}-{replica}"
            selector = pod_labels(config["app_name"], name, replica, pod if size > 1 else None)
            yield {
                "apiVersion": "v1", "kind": "Service",
                "metadata": {
                    "name": f"{stem}-{pod}" if size > 1 and external else stem,
                    "namespace": config["app_namespace"], "labels": selector,
                },
                "spec": {
                    "type": "ClusterIP", "selector": selector,
                    "ports": [{"name": n, "port": p, "targetPort": p, "protocol": "TCP"} for n, p in ports],
                },
            }  # fmt: skip
