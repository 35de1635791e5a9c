"""What the pods of an app do beyond what NPU services need, on the finished StormService."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from stormc.facts.keys import DEVICE_FILES, Annotation, Directory
from stormc.finding import Path, dotted, shown
from stormc.model.app import ROUTER, ROUTING
from stormc.phrase import Phrase, phrase
from stormc.policy.breach import Breach, Case, Manifest
from stormc.policy.concerns import (
    COMMAND,
    CONTAINER,
    HOST_PATH,
    NODE,
    PINNED,
    PLAIN_SECRET,
    POD_SECURITY,
    PRIORITY,
    QUEUE,
    REGISTRY,
    REMOTE_CODE,
    SECRET,
    SERVICE_ACCOUNT,
    SUBSTITUTION,
)
from stormc.policy.pod_security import KINDS, problems
from stormc.policy.policy import begins, below
from stormc.policy.secrets import holds_password, holds_secret, names_secret
from stormc.record import NamedTuple

_SYSTEM = ("/bin", "/boot", "/dev", "/etc", "/lib", "/lib64", "/proc", "/root", "/run", "/sbin", "/sys", "/usr", "/var")
"""Directories of a node that hold its own programs, sockets and credentials."""
_CONTROL_PLANE = "node-role.kubernetes.io/"
_LOADERS = ("LD_", "PYTHON", "BASH_ENV", "GCONV_PATH", "GLIBC_TUNABLES", "PERL5", "NODE_OPTIONS")
_HARMLESS = ("PYTHONUNBUFFERED", "PYTHONHASHSEED", "PYTHONDONTWRITEBYTECODE", "PYTHONFAULTHANDLER", "LD_LIBRARY_PATH")
_ROLES: Path = ("spec", "template", "spec", "roles")


class Pod(NamedTuple):
    """The pod template of one role: its place in the StormService, and where the spec wrote a field of it."""

    case: Case
    storm: Manifest
    number: int

    @property
    def role(self) -> str:
        """The role's name."""
        return str(self.storm["spec"]["template"]["spec"]["roles"][self.number].get("name", ""))

    @property
    def template(self) -> Mapping[str, Any]:
        """The pod template."""
        return self.storm["spec"]["template"]["spec"]["roles"][self.number].get("template") or {}

    @property
    def spec(self) -> Mapping[str, Any]:
        """The pod spec."""
        return self.template.get("spec") or {}

    def at(self, path: Path, otherwise: Path = ()) -> Path:
        """Where an override writes a field of the pod spec; else `otherwise`, else the role."""
        base: Path = (*_ROLES, self.number, "template", "spec")
        whole: Path = (*base, *path)
        exact = self.case.wrote(self.storm, whole, (), len(whole)) or otherwise
        return exact or self.case.wrote(self.storm, whole, (self.role,), len(base) + 1)

    def containers(self) -> Iterator[tuple[Path, Mapping[str, Any]]]:
        """Every container with its path in the pod spec."""
        for kind in KINDS:
            for index, container in enumerate(self.spec.get(kind) or ()):
                yield (kind, index), container

    def mounts(self, volume: str) -> list[Mapping[str, Any]]:
        """The mounts of a volume in all containers."""
        return [
            mount
            for _, container in self.containers()
            for mount in container.get("volumeMounts") or ()
            if mount.get("name") == volume
        ]


def pods_of(case: Case) -> list[Pod]:
    """The pod templates of the app."""
    storm = next(manifest for manifest in case.manifests if manifest["kind"] == "StormService")
    roles = storm["spec"]["template"].get("spec", {}).get("roles", ())
    return [Pod(case, storm, index) for index in range(len(roles))]


def security(pod: Pod) -> Iterator[Breach]:
    """Pod security, host paths, service accounts."""
    policy, app = pod.case.policy, pod.case.app
    for path, text in problems(pod.spec, policy.level):
        own: Path = ("hostNetwork",) if path == ("hostNetwork",) else ()
        message = phrase("{role}: {text} (pod security {level})", role=pod.role, text=text, level=policy.level)
        yield from pod.case.breach(
            POD_SECURITY, pod.at(path, own), message, phrase("remove it, or ask for an exception")
        )
    for index, volume in enumerate(pod.spec.get("volumes") or ()):
        source = volume.get("hostPath")
        if not isinstance(source, dict):
            continue
        host, name = str(source.get("path", "")), volume.get("name", "")
        path = pod.at(("volumes", index), _volume_field(pod, name))
        read_only = all(mount.get("readOnly") for mount in pod.mounts(name))
        usual = host in DEVICE_FILES or (name == "model" and host == (app.model.host_path or app.model.mount_path))
        script = app.engine.script is not None and host == app.engine.script.directory
        unusual = not (usual or script) or (not read_only and not script) or _is_system(host)
        message = phrase(
            "{role} mounts {host} of the node{word}",
            role=pod.role,
            host=shown(host),
            word="" if read_only else phrase(" and may write there"),
        )
        yield from _host_path(pod, path, host, message, unusual, read_only or script)
    account, token = pod.spec.get("serviceAccountName"), pod.spec.get("automountServiceAccountToken")
    if account or token:
        field = "serviceAccountName" if account else "automountServiceAccountToken"
        message = phrase(
            "{role} uses service account {account} with its token", role=pod.role, account=account or "default"
        )
        yield from pod.case.breach(
            SERVICE_ACCOUNT,
            pod.at((field,)),
            message,
            phrase("remove it; no program of stormc needs one"),
            key="serviceAccounts",
            value=str(account or "default"),
        )


def _host_path(pod: Pod, path: Path, host: str, message: Phrase, unusual: bool, harmless: bool) -> Iterator[Breach]:
    policy = pod.case.policy
    if not policy.covers("hostPaths"):
        yield from pod.case.breach(HOST_PATH, path, message, phrase("mount a PersistentVolumeClaim"), unusual=unusual)
        return
    for number, allowed in policy.values("hostPaths"):
        if not harmless or (host not in DEVICE_FILES and not any(below(each, host) for each in allowed)):
            hint = phrase(
                "{file} allows to read: {allowed}", file=policy.layers[number].file, allowed=", ".join(allowed)
            )
            yield Breach(HOST_PATH.forbidden.id, path, message, hint, number)
            return


def _is_system(host: str) -> bool:
    return host == "/" or (
        host not in DEVICE_FILES and host != Directory.SHM and any(below(each, host) for each in _SYSTEM)
    )


def _volume_field(pod: Pod, name: str) -> Path:
    if name == "model":
        return ("model", "volume") if pod.case.app.model.host_path else ("model", "path")
    pods = next((role for role in (*pod.case.app.serving_roles, pod.case.app.routing) if role.name == pod.role), None)
    own = next((volume.path for volume in getattr(pods, "volumes", ()) if volume.name == name), ())
    return own or (("engine", "script") if pod.case.app.engine.script else ())


def placement(pod: Pod) -> Iterator[Breach]:
    """Nodes, queue and priority."""
    case, spec = pod.case, pod.spec
    if spec.get("nodeName"):
        yield from case.breach(
            NODE,
            pod.at(("nodeName",)),
            phrase("{role} asks for node {node_name} by its name", role=pod.role, node_name=spec["nodeName"]),
            phrase("remove it: the scheduler is passed by"),
        )
    for key in spec.get("nodeSelector") or {}:
        if key.startswith(_CONTROL_PLANE):
            path = pod.at(("nodeSelector", key), (pod.role, "nodeSelector", key))
            yield from case.breach(
                NODE, path, phrase("{role} asks for nodes of the control plane", role=pod.role), phrase("remove it")
            )
    for index, toleration in enumerate(spec.get("tolerations") or ()):
        key = toleration.get("key") or ""
        path = pod.at(("tolerations",), (pod.role, "tolerations", index))
        unusual = not key or key.startswith(_CONTROL_PLANE)
        message = phrase(
            "{role} tolerates {value}",
            role=pod.role,
            value=phrase("taint {key}", key=key) if key else phrase("every taint"),
        )
        yield from case.breach(
            NODE,
            path,
            message,
            phrase("name the taint of the NPU nodes"),
            key="tolerations",
            value=key,
            unusual=unusual,
        )
    priority = spec.get("priorityClassName")
    if priority:
        path = pod.at(("priorityClassName",), (pod.role, "priorityClassName"))
        yield from case.breach(
            PRIORITY,
            path,
            phrase("{role} has priority class {priority}", role=pod.role, priority=priority),
            phrase("choose another one"),
            key="priorityClasses",
            value=priority,
            unusual=priority.startswith("system-"),
        )
    metadata = pod.template.get("metadata") or {}
    queue = next(
        (
            t[Annotation.QUEUE_NAME]
            for t in (metadata.get("annotations") or {}, metadata.get("labels") or {})
            if Annotation.QUEUE_NAME in t
        ),
        None,
    )
    if queue:
        base: Path = (*_ROLES, pod.number, "template", "metadata", "annotations", Annotation.QUEUE_NAME)
        path = (
            case.wrote(pod.storm, base, (pod.role, "queue"), len(base))
            if _has(metadata, "annotations")
            else (pod.role,)
        )
        yield from case.breach(
            QUEUE,
            path,
            phrase("{role} waits in queue {queue}", role=pod.role, queue=queue),
            phrase("choose another queue"),
            key="queues",
            value=str(queue),
            unusual=queue != "default",
        )


def _has(metadata: Mapping[str, Any], table: str) -> bool:
    return Annotation.QUEUE_NAME in (metadata.get(table) or {})


def programs(pod: Pod) -> Iterator[Breach]:
    """Images, containers, commands and code from elsewhere."""
    case, app = pod.case, pod.case.app
    for (kind, index), container in pod.containers():
        name, image = str(container.get("name")), str(container.get("image", ""))
        at: Path = (kind, index)
        own = kind == "containers" and name == (ROUTER if pod.role == ROUTING else pod.role)
        field: Path = (pod.role, "image") if own else ()
        yield from _image(pod, pod.at((*at, "image"), field), name, image)
        if not own:
            yield from case.breach(
                CONTAINER,
                pod.at(at),
                phrase("{role} has container {name} beside stormc's", role=pod.role, name=name),
                phrase("remove it, or put its work into the image"),
            )
        for hook, handler in _hooks(container):
            path = (*at, *hook)
            if not case.wrote(pod.storm, (*_ROLES, pod.number, "template", "spec", *path), (), 10):
                continue
            message = phrase(
                "{hook} of container {name} runs {str}",
                hook=dotted(hook),
                name=name,
                str=shown(" ".join(map(str, handler))),
            )
            yield from case.breach(COMMAND, pod.at(path), message, phrase("use httpGet, or ask for an exception"))
        for field_name in ("command", "args"):
            patched = case.wrote(pod.storm, (*_ROLES, pod.number, "template", "spec", *at, field_name), (), 10)
            if own and patched and field_name in container:
                message = phrase(
                    "an override replaces {field_name} of container {name}", field_name=field_name, name=name
                )
                yield from case.breach(COMMAND, patched, message, phrase("use engineArgs or engine.command"))
        flags = [str(word) for word in container.get("args") or ()]
        denied = next((n for n, value in case.policy.values("trustRemoteCode") if value == "deny"), None)
        if denied is not None and "--trust-remote-code" in flags:
            yield Breach(
                REMOTE_CODE.forbidden.id,
                pod.at((*at, "args"), (pod.role, "engineArgs")),
                phrase("{role} runs code from the model's directory: --trust-remote-code", role=pod.role),
                phrase("set engineArgs: {{trust-remote-code: null}}"),
                denied,
            )
    for field_name, value in (("command", app.engine.command), ("script", app.engine.script)):
        if value is not None and pod.number == 0:
            yield from _engine(case, field_name)


def _image(pod: Pod, path: Path, name: str, image: str) -> Iterator[Breach]:
    policy = pod.case.policy
    for number, prefixes in policy.values("registries"):
        if not any(begins(prefix, image) for prefix in prefixes):
            hint = phrase("{file} allows: {prefixes}", file=policy.layers[number].file, prefixes=", ".join(prefixes))
            yield Breach(
                REGISTRY.forbidden.id,
                path,
                phrase("image {image} of {role} is from no allowed registry", image=shown(image), role=pod.role),
                hint,
                number,
            )
            break
    for number, how in policy.values("images"):
        tag = image.rpartition("/")[2].partition("@")[0].partition(":")[2]
        pinned = "@sha256:" in image or (how == "tag" and tag not in ("", "latest"))
        if not pinned:
            yield Breach(
                PINNED.forbidden.id,
                path,
                phrase("image {image} of {role} has no {how}", image=shown(image), role=pod.role, how=how),
                phrase("pin it by {how}", how=how),
                number,
            )
            break


def _hooks(container: Mapping[str, Any]) -> Iterator[tuple[Path, list[Any]]]:
    lifecycle = container.get("lifecycle") or {}
    for at, handler in (
        *((("lifecycle", hook), lifecycle.get(hook)) for hook in ("postStart", "preStop")),
        *(((probe,), container.get(probe)) for probe in ("startupProbe", "readinessProbe", "livenessProbe")),
    ):
        command = ((handler or {}).get("exec") or {}).get("command")
        if command:
            yield at, command


def _engine(case: Case, field: str) -> Iterator[Breach]:
    message = phrase("engine.{field} starts a program of the spec instead of stormc's launcher", field=field)
    path: Path = ("engine", field)
    said = list(case.policy.values("engine", field))
    denied = next((number for number, value in said if value == "deny"), None)
    if denied is not None:
        yield Breach(
            COMMAND.forbidden.id,
            path,
            message,
            phrase("{file} denies it", file=case.policy.layers[denied].file),
            denied,
        )
    elif not said and field == "command":
        yield from case.breach(COMMAND, path, message, phrase("use the launcher and engineArgs"))


def secrets(pod: Pod) -> Iterator[Breach]:
    """Secrets that pods read, and those that stand in plain text."""
    case = pod.case
    for name, path in _secret_names(pod):
        message = phrase("{role} reads Secret {name}", role=pod.role, name=name)
        yield from case.breach(
            SECRET, path, message, phrase("a policy lists the Secrets of its apps"), key="secrets", value=name
        )
    for at, container in pod.containers():
        for index, entry in enumerate(container.get("env") or ()):
            name, value = str(entry.get("name")), str(entry.get("value", ""))
            path = pod.at((*at, "env", index), (pod.role, "env", name))
            hint = phrase("env: {{{name}: {{secretKeyRef: {{name: SECRET, key: KEY}}}}}}", name=name)
            yield from _plain(
                case,
                path,
                phrase("variable {name} of {role}", name=name, role=pod.role),
                names_secret(name),
                value,
                hint,
            )
            if "${" in value:
                yield from case.breach(
                    SUBSTITUTION,
                    path,
                    phrase("variable {name} of {role} holds ${{…}}", name=name, role=pod.role),
                    phrase("write $(NAME)"),
                )
            if name.startswith(_LOADERS) and name not in _HARMLESS and value:
                yield from case.breach(
                    COMMAND,
                    path,
                    phrase("variable {name} of {role} loads code into every program", name=name, role=pod.role),
                    phrase("build it into the image"),
                )
        for word in container.get("args") or ():
            flag, _, value = str(word).partition("=")
            path = pod.at((*at, "args"), (pod.role, "engineArgs", flag.lstrip("-")))
            yield from _plain(
                case,
                path,
                phrase("flag {flag} of {role}", flag=shown(flag), role=pod.role),
                names_secret(flag.lstrip("-")),
                value,
                phrase("use a variable with secretKeyRef"),
            )


def _plain(case: Case, path: Path, what: str, by_name: bool, value: str, hint: Phrase) -> Iterator[Breach]:
    if holds_password(value):
        yield Breach(PLAIN_SECRET.forbidden.id, path, phrase("{what} holds a password in a URL", what=what), hint)
    elif value and "$(" not in value and (by_name or holds_secret(value)):
        yield from case.breach(PLAIN_SECRET, path, phrase("{what} holds a secret in plain text", what=what), hint)


def _secret_names(pod: Pod) -> Iterator[tuple[str, Path]]:
    for index, entry in enumerate(pod.spec.get("imagePullSecrets") or ()):
        yield str(entry.get("name")), pod.at(("imagePullSecrets", index), ("imagePullSecrets",))
    for index, volume in enumerate(pod.spec.get("volumes") or ()):
        path = pod.at(("volumes", index), _volume_field(pod, str(volume.get("name"))))
        sources = (volume.get("projected") or {}).get("sources") or ()
        names = [
            (volume.get("secret") or {}).get("secretName"),
            *((s.get("secret") or {}).get("name") for s in sources),
        ]
        yield from ((str(name), path) for name in names if name)
        if any("serviceAccountToken" in source for source in sources):
            yield "serviceAccountToken", path
    for at, container in pod.containers():
        for index, entry in enumerate(container.get("env") or ()):
            name = ((entry.get("valueFrom") or {}).get("secretKeyRef") or {}).get("name")
            if name:
                yield str(name), pod.at((*at, "env", index), (pod.role, "env", str(entry.get("name"))))
        for entry in container.get("envFrom") or ():
            name = (entry.get("secretRef") or {}).get("name")
            if name:
                yield str(name), pod.at((*at, "envFrom"))
