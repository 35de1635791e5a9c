"""The programs as ConfigMaps: one copy for all apps of a namespace, which their pods mount."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from stormc.facts.keys import Annotation, Label
from stormc.facts.kinds import API_VERSIONS
from stormc.payload.read import Payload, Program, key_of

LAUNCHER_CONFIG = "stormc-launcher"
"""The ConfigMap of the launcher. Its name never changes, so a new launcher restarts no NPU pod."""
PROXY_CONFIG = "stormc-proxy-"
OURS = (LAUNCHER_CONFIG, PROXY_CONFIG)
"""How the names of stormc's ConfigMaps begin."""
COMPONENT = "payload"

_KEPT: Mapping[str, str] = {
    Annotation.ARGOCD_SYNC_OPTIONS: "Prune=false",
    Annotation.ARGOCD_COMPARE_OPTIONS: "IgnoreExtraneous",
    Annotation.FLUX_PRUNE: "disabled",
    Annotation.FLUX_SUBSTITUTE: "disabled",
}
"""No engine deletes a program: pods of an earlier version, of another scope or of an app that left Git may need it.

`IgnoreExtraneous` keeps the Application Synced all the same. The texts hold `${…}`, which Flux would substitute.
"""


def proxy_config_map(payload: Payload) -> str:
    """The name of the proxy's ConfigMap: another version has another name, and that restarts the routing pods."""
    return f"{PROXY_CONFIG}{payload.proxy.version}"


def shared_names(payload: Payload, launches: bool, proxies: bool) -> tuple[str, ...]:
    """The names of the ConfigMaps that an app mounts, by whether its engines are launched and its proxy is mounted."""
    return (*((LAUNCHER_CONFIG,) if launches else ()), *((proxy_config_map(payload),) if proxies else ()))


def shared_objects(payload: Payload, namespace: str, names: Iterable[str]) -> Iterator[dict[str, Any]]:
    """The ConfigMaps of these names; the programs are read. Raises Failure for a damaged installation."""
    programs = {LAUNCHER_CONFIG: payload.launcher, proxy_config_map(payload): payload.proxy}
    for name in sorted(names):
        yield _config_map(namespace, name, programs[name])


def _config_map(namespace: str, name: str, program: Program) -> dict[str, Any]:
    labels = {Label.COMPONENT: COMPONENT, Label.MANAGED_BY: "stormc"}
    annotations = {**_KEPT, Annotation.STORMC_VERSION: program.version}
    return {
        "apiVersion": API_VERSIONS["ConfigMap"],
        "kind": "ConfigMap",
        "metadata": {"name": name, "namespace": namespace, "labels": labels, "annotations": annotations},
        "data": {key_of(path): text for path, text in program.read().items()},
    }
