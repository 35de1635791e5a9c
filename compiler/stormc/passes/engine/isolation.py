"""What an engine pod may do: no token of the API server, no more privileges than it starts with, no raw sockets.

Engines run code that lies beside the weights, and nothing in them talks to the API server. The runtime's hook gives
them their NPUs, for which no privilege is needed (Ascend Docker Runtime, MindCluster user guide).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from stormc.model.app import App
from stormc.model.profile import Platform
from stormc.passes.because import ROLE, Reason, fact, of
from stormc.passes.edit import Edit, storm
from stormc.targets.storm_service import container_path, pod_path

NO_RAW_SOCKETS: dict[str, Any] = {"drop": ["NET_RAW"]}
BECAUSE = fact("kubernetes", "Pod Security Standards; docs/security.md: engine pods")
UNLESS_PRIVILEGED: Reason = {
    (): BECAUSE,
    ("allowPrivilegeEscalation",): fact("kubernetes", "core/v1 ValidateSecurityContext", exists_if=(("overrides",),)),
    ("capabilities",): fact("kubernetes", "Pod Security Standards", (ROLE, "securityContext")),
    ("seccompProfile",): of((ROLE, "securityContext")),
}


def apply(app: App, platform: Platform) -> Iterator[Edit]:
    """Token and security context of the engine pods.

    A container that an override makes privileged may gain privileges: the API server refuses pods that deny it.
    """
    service = storm(app)
    for role in app.serving_roles:
        privileged = any(_gives_privileges(override.patch) for override in app.overrides)
        fields = role.security_context
        context: dict[str, Any] = {} if privileged else {"allowPrivilegeEscalation": False}
        context |= {"capabilities": {**NO_RAW_SOCKETS, **fields.get("capabilities", {})}}
        if "seccompProfile" in fields:
            context["seccompProfile"] = fields["seccompProfile"]
        yield Edit(service, pod_path(role.name, "automountServiceAccountToken"), False, BECAUSE)
        yield Edit(service, container_path(role.name, role.name, "securityContext"), context, UNLESS_PRIVILEGED)


def _gives_privileges(patch: Any) -> bool:
    if isinstance(patch, list):
        return any(map(_gives_privileges, patch))
    if not isinstance(patch, dict):
        return False
    capabilities = patch.get("capabilities")
    added = capabilities.get("add") if isinstance(capabilities, dict) else None
    if patch.get("privileged") is True or (isinstance(added, list) and "SYS_ADMIN" in added):
        return True
    return any(map(_gives_privileges, patch.values()))
