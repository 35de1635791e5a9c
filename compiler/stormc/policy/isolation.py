"""What keeps the pods of an app apart from the node, from the API server, and from other pods."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from stormc.facts.pods import PROBES
from stormc.finding import Path
from stormc.model.app import ROUTING
from stormc.phrase import Phrase, phrase, verbatim
from stormc.policy.breach import Breach
from stormc.policy.concerns import ISOLATION, POD_SECURITY, SERVICE_ACCOUNT
from stormc.policy.pod_security import problems
from stormc.policy.pods import Container, Pod

_JUDGED = frozenset([
    "automountServiceAccountToken", "containers", "ephemeralContainers", "hostIPC", "hostNetwork", "hostPID",
    "affinity", "imagePullSecrets", "initContainers", "nodeName", "nodeSelector", "priority", "priorityClassName",
    "securityContext", "serviceAccount", "serviceAccountName", "tolerations", "volumes",
])  # fmt: skip
"""Fields of a pod spec that other concerns judge."""
_HARMLESS = frozenset([
    "activeDeadlineSeconds", "enableServiceLinks", "hostname", "preemptionPolicy", "restartPolicy", "schedulerName",
    "subdomain", "topologySpreadConstraints",
])  # fmt: skip
"""Fields of a pod spec by which a pod reaches nothing that it did not reach before."""
_CONTAINER_FIELDS = frozenset([
    "args", "command", "env", "envFrom", "image", "imagePullPolicy", "lifecycle", "livenessProbe", "name", "ports",
    "readinessProbe", "resources", "securityContext", "startupProbe", "stdin", "stdinOnce", "terminationMessagePath",
    "terminationMessagePolicy", "tty", "volumeMounts", "workingDir",
])  # fmt: skip
LONGEST_END = 3600
"""Seconds that a pod may take to end: until then its NPUs are nobody's, and its node is not drained."""
_REMOVE = phrase("remove it, or ask for an exception")


def security(pod: Pod) -> Iterator[Breach]:
    """The level of pod security, and what a policy demands besides."""
    level = pod.case.policy.level
    for path, text in problems(pod.spec, level):
        own: Path = (pod.role, "hostNetwork") if path == ("hostNetwork",) else ()
        message = phrase("{role}: {text} (pod security {level})", role=pod.role, text=text, level=level)
        yield from pod.case.breach(POD_SECURITY, pod.at(path, own), message, _REMOVE)
    if pod.case.policy:
        yield from _demanded(pod)


def taken_back(pod: Pod) -> Iterator[Breach]:
    """The settings of stormc that an override takes back."""
    for path, text in _taken_back(pod):
        if patched := pod.patched(path):
            message = phrase("{role}: an override takes back {text}", role=pod.role, text=text)
            yield from pod.case.breach(POD_SECURITY, patched, message, _REMOVE)


def _demanded(pod: Pod) -> Iterator[Breach]:
    """What a policy demands of every container besides its level."""
    shared = pod.spec.get("securityContext") or {}
    for at, container in pod.containers:
        context: Mapping[str, Any] = container.get("securityContext") or {}
        profile = (context.get("seccompProfile") or shared.get("seccompProfile") or {}).get("type")
        dropped = (context.get("capabilities") or {}).get("drop") or ()
        lacking = {
            "seccomp": (
                profile not in ("RuntimeDefault", "Localhost"),
                verbatim("seccompProfile: {type: RuntimeDefault}"),
            ),
            "dropAllCapabilities": ("ALL" not in dropped, verbatim("capabilities: {drop: [ALL]}")),
        }
        for key, (lacks, field) in lacking.items():
            for number, _ in pod.case.policy.values(key) if lacks else ():
                message = phrase(
                    "container {name} of {role} has no {field}", name=container["name"], role=pod.role, field=field
                )
                hint = phrase(
                    "write it to securityContext; {file} demands it", file=pod.case.policy.layers[number].file
                )
                path = pod.at((*at, "securityContext"), (pod.role, "securityContext"))
                yield Breach(POD_SECURITY.forbidden.id, path, message, hint, number)


def _taken_back(pod: Pod) -> Iterator[tuple[Path, Phrase]]:
    """What stormc writes into its containers (passes/engine, passes/proxy) and is not there any more."""
    routing, shared = pod.role == ROUTING, pod.spec.get("securityContext") or {}
    for at, container in pod.containers:
        if not pod.own(at, container):
            continue
        context: Mapping[str, Any] = container.get("securityContext") or {}
        inside: Path = (*at, "securityContext")
        if context.get("allowPrivilegeEscalation") is not False and not context.get("privileged"):
            yield (*inside, "allowPrivilegeEscalation"), verbatim("allowPrivilegeEscalation: false")
        dropped = (context.get("capabilities") or {}).get("drop") or ()
        capability = "ALL" if routing else "NET_RAW"
        if capability not in dropped and "ALL" not in dropped:
            yield (*inside, "capabilities", "drop"), phrase("that capability {name} is dropped", name=capability)
        if not routing:
            continue
        if not context.get("readOnlyRootFilesystem"):
            yield (*inside, "readOnlyRootFilesystem"), verbatim("readOnlyRootFilesystem: true")
        if not context.get("runAsNonRoot", shared.get("runAsNonRoot")):
            yield ("securityContext", "runAsNonRoot"), verbatim("runAsNonRoot: true")
        profile = context.get("seccompProfile") or shared.get("seccompProfile") or {}
        if profile.get("type") != "RuntimeDefault":
            yield ("securityContext", "seccompProfile"), verbatim("seccompProfile RuntimeDefault")
    yield from _group_of_root(pod)


def _group_of_root(pod: Pod) -> Iterator[tuple[Path, Phrase]]:
    for at, holder in (((), pod.spec), *pod.containers):
        inside: Path = (*at, "securityContext")
        context: Mapping[str, Any] = holder.get("securityContext") or {}
        for field in ("runAsGroup", "fsGroup", "supplementalGroups"):
            value = context.get(field)
            if value == 0 or (isinstance(value, list) and 0 in value):
                yield (*inside, field), phrase("that the group of root is not the pods'")


def service_account(pod: Pod) -> Iterator[Breach]:
    """Service accounts and their tokens."""
    account = pod.spec.get("serviceAccountName") or pod.spec.get("serviceAccount")
    token = pod.spec.get("automountServiceAccountToken")
    field = "serviceAccountName" if account else "automountServiceAccountToken"
    patched = pod.patched((field,)) or pod.patched(("serviceAccount",))
    if account or token or (token is None and patched):
        message = phrase("pods of {role} use service account {account}", role=pod.role, account=account or "default")
        if token is not False:
            message = phrase("{message} with its token", message=message)
        yield from pod.case.breach(
            SERVICE_ACCOUNT, patched or (pod.role,), message, phrase("remove it; no program of stormc needs one"),
            key="serviceAccounts", value=str(account or "default"),
        )  # fmt: skip


def surroundings(pod: Pod) -> Iterator[Breach]:
    """Names, processes, runtimes and devices of a pod that are others than those of the cluster's usual pods."""
    for field, value in pod.spec.items():
        if field in _JUDGED or field in _HARMLESS or _usual(field, value):
            continue
        message = phrase(
            "pods of {role} have {field}, which changes how they are kept apart", role=pod.role, field=field
        )
        yield from pod.case.breach(ISOLATION, pod.at((field,)), message, _REMOVE)
    for at, container in pod.containers:
        for path, text in _odd_fields(at, container):
            message = phrase("container {name} {text}", name=container.get("name"), text=text)
            yield from pod.case.breach(ISOLATION, pod.at(path), message, _REMOVE)


def _usual(field: str, value: object) -> bool:
    usual: Mapping[str, tuple[object, ...]] = {
        "dnsPolicy": ("ClusterFirst", "ClusterFirstWithHostNet", "Default"), "hostUsers": (False,),
        "shareProcessNamespace": (False,), "setHostnameAsFQDN": (False, True), "os": ({"name": "linux"},),
    }  # fmt: skip
    if field == "terminationGracePeriodSeconds":
        return isinstance(value, int) and value <= LONGEST_END
    return value in (None, [], {}) or value in usual.get(field, ())


def _odd_fields(at: Path, container: Container) -> Iterator[tuple[Path, Phrase]]:
    for field in container:
        if field not in _CONTAINER_FIELDS and container[field]:
            yield (*at, field), phrase("has {field}", field=field)
    if (container.get("resources") or {}).get("claims"):
        yield (*at, "resources", "claims"), phrase("claims devices")
    for index, mount in enumerate(container.get("volumeMounts") or ()):
        path: Path = (*at, "volumeMounts", index)
        if mount.get("mountPropagation") not in (None, "None"):
            yield path, phrase("shares mounts with the node")
        if mount.get("subPathExpr") or ".." in str(mount.get("subPath", "")).split("/"):
            yield path, phrase("mounts a part of a volume that its environment or .. chooses")
    for probe in PROBES:
        yield from _elsewhere((*at, probe), container.get(probe))
    for hook, handler in (container.get("lifecycle") or {}).items():
        yield from _elsewhere((*at, "lifecycle", hook), handler)


def _elsewhere(at: Path, handler: Any) -> Iterator[tuple[Path, Phrase]]:
    """Requests that the kubelet of the node would make to another address than the pod's."""
    for kind in ("httpGet", "tcpSocket"):
        host = ((handler if isinstance(handler, dict) else {}).get(kind) or {}).get("host")
        if host:
            yield (*at, kind, "host"), phrase("lets the node ask {host}", host=host)
