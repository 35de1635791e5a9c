"""The Pod Security Standards on a pod spec, as admission in namespaces applies them to pods.

Source: Kubernetes, Pod Security Standards (concepts/security/pod-security-standards), v1.33. The level npu is baseline;
its two host paths are judged with all others (pods.py).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from stormc.facts.limits import CAPABILITIES
from stormc.facts.pods import CONTAINER_LISTS
from stormc.finding import Path
from stormc.phrase import Phrase, phrase

SYSCTLS = frozenset(
    [
        "kernel.shm_rmid_forced",
        "net.ipv4.ip_local_port_range",
        "net.ipv4.ip_unprivileged_port_start",
        "net.ipv4.tcp_syncookies",
        "net.ipv4.ping_group_range",
        "net.ipv4.ip_local_reserved_ports",
        "net.ipv4.tcp_keepalive_time",
        "net.ipv4.tcp_fin_timeout",
        "net.ipv4.tcp_keepalive_intvl",
        "net.ipv4.tcp_keepalive_probes",
    ]
)
SELINUX_TYPES = frozenset(["", "container_t", "container_init_t", "container_kvm_t", "container_engine_t"])
VOLUMES = frozenset(
    ["configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "persistentVolumeClaim", "projected", "secret"]
)

Problem = tuple[Path, Phrase]
"""A path of the pod spec, and what is wrong there."""


def problems(pod: Mapping[str, Any], level: str) -> Iterator[Problem]:
    """What the pods of a pod spec do beyond a level: npu and baseline, or restricted."""
    for field in ("hostNetwork", "hostPID", "hostIPC"):
        if pod.get(field):
            yield (field,), phrase("{field}: the pods share it with the node", field=field)
    yield from _context(pod.get("securityContext") or {}, ("securityContext",))
    for kind in CONTAINER_LISTS:
        for index, container in enumerate(pod.get(kind) or ()):
            yield from _container(container, (kind, index))
    for index, volume in enumerate(pod.get("volumes") or ()):
        if level != "npu" and "hostPath" in volume:
            yield ("volumes", index), phrase("pods of this level mount nothing of the node")
    if level == "restricted":
        yield from _restricted(pod)


def _context(context: Mapping[str, Any], at: Path) -> Iterator[Problem]:
    """What the security contexts of pods and containers have in common."""
    for field in ("seccompProfile", "appArmorProfile"):
        if (context.get(field) or {}).get("type") == "Unconfined":
            yield (*at, field), phrase("{field} Unconfined turns the filter of the container runtime off", field=field)
    options = context.get("seLinuxOptions") or {}
    if options.get("type", "") not in SELINUX_TYPES or options.get("user") or options.get("role"):
        yield (*at, "seLinuxOptions"), phrase("seLinuxOptions choose a type, user or role of the node's own")
    if (context.get("windowsOptions") or {}).get("hostProcess"):
        yield (*at, "windowsOptions"), phrase("hostProcess: the container is a process of the node")
    if context.get("runAsUser") == 0 or context.get("runAsNonRoot") is False:
        field = "runAsUser" if context.get("runAsUser") == 0 else "runAsNonRoot"
        yield (*at, field), phrase("the container is told to run as root")
    for index, sysctl in enumerate(context.get("sysctls") or ()):
        if sysctl.get("name") not in SYSCTLS:
            yield (
                (*at, "sysctls", index),
                phrase("sysctl {name} changes the kernel beyond the pod", name=sysctl.get("name")),
            )


def _container(container: Mapping[str, Any], at: Path) -> Iterator[Problem]:
    name, context = container.get("name"), container.get("securityContext") or {}
    inside = (*at, "securityContext")
    if context.get("privileged"):
        yield (*inside, "privileged"), phrase("container {name} is privileged: it has the node", name=name)
    added = list((context.get("capabilities") or {}).get("add") or ())
    wrong = [capability for capability in added if str(capability).removeprefix("CAP_") not in CAPABILITIES]
    if wrong:
        yield (
            (*inside, "capabilities"),
            phrase("container {name} adds capability {str}", name=name, str=", ".join(map(str, wrong))),
        )
    if context.get("procMount", "Default") != "Default":
        yield (*inside, "procMount"), phrase("container {name} sees /proc unmasked", name=name)
    yield from _context(context, inside)
    for index, port in enumerate(container.get("ports") or ()):
        if port.get("hostPort"):
            yield (
                (*at, "ports", index),
                phrase("container {name} takes port {host_port} of the node", name=name, host_port=port["hostPort"]),
            )


def _restricted(pod: Mapping[str, Any]) -> Iterator[Problem]:
    shared = pod.get("securityContext") or {}
    for index, volume in enumerate(pod.get("volumes") or ()):
        kind = next((key for key in volume if key not in VOLUMES and key != "name"), None)
        if kind:
            yield ("volumes", index), phrase("restricted pods have no volume of kind {kind}", kind=kind)
    for kind in CONTAINER_LISTS:
        for index, container in enumerate(pod.get(kind) or ()):
            at: Path = (kind, index, "securityContext")
            context = container.get("securityContext") or {}
            capabilities = context.get("capabilities") or {}
            if context.get("allowPrivilegeEscalation") is not False:
                yield (
                    at,
                    phrase(
                        "restricted: container {name} has no allowPrivilegeEscalation: false",
                        name=container.get("name"),
                    ),
                )
            if "ALL" not in (capabilities.get("drop") or ()) or set(capabilities.get("add") or ()) - {
                "NET_BIND_SERVICE"
            }:
                yield (
                    at,
                    phrase("restricted: container {name} does not drop capability ALL", name=container.get("name")),
                )
            if not context.get("runAsNonRoot", shared.get("runAsNonRoot")):
                yield at, phrase("restricted: container {name} has no runAsNonRoot: true", name=container.get("name"))
            profile = context.get("seccompProfile") or shared.get("seccompProfile") or {}
            if profile.get("type") not in ("RuntimeDefault", "Localhost"):
                yield (
                    at,
                    phrase(
                        "restricted: container {name} has no seccompProfile RuntimeDefault", name=container.get("name")
                    ),
                )
