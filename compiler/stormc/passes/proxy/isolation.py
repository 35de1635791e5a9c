"""What a routing pod may do, and where it runs: no credentials, one directory to write to, spread over the nodes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from stormc.facts.keys import Label, NodeLabel
from stormc.model.app import ROUTING, App
from stormc.model.profile import Platform
from stormc.passes.because import Reason, fact, of
from stormc.passes.edit import Edit, router_path, storm
from stormc.targets.programs import SCRATCH_DIRECTORY, Volume
from stormc.targets.storm_service import pod_path

POD_SECURITY: dict[str, Any] = {
    "runAsNonRoot": True,
    "runAsUser": 65532,
    "runAsGroup": 65532,
    "seccompProfile": {"type": "RuntimeDefault"},
}
CONTAINER_SECURITY: dict[str, Any] = {
    "allowPrivilegeEscalation": False,
    "readOnlyRootFilesystem": True,
    "capabilities": {"drop": ["ALL"]},
}

RESTRICTED = fact("kubernetes", "Pod Security Standards, profile restricted")
SPREAD: Reason = {
    (): fact("stormc", "docs/proxy.md: the loss of a node is not the loss of all routing pods"),
    (0, "labelSelector", "matchLabels", Label.STORM_SERVICE): of(("name",)),
}


def apply(app: App, platform: Platform) -> Iterator[Edit]:
    """Security contexts, /tmp as the only directory to write to, and the spread over nodes.

    The spread stands there for one replica too, so that a second one touches no template.
    """
    service, because = storm(app), RESTRICTED
    yield Edit(service, pod_path(ROUTING, "automountServiceAccountToken"), False, because)
    yield Edit(service, pod_path(ROUTING, "securityContext"), POD_SECURITY, because)
    yield Edit(service, router_path("securityContext"), CONTAINER_SECURITY, because)
    yield Edit(
        service, pod_path(ROUTING, "volumes", (Volume.SCRATCH,)), {"name": Volume.SCRATCH, "emptyDir": {}}, because
    )
    mount = {"name": Volume.SCRATCH, "mountPath": SCRATCH_DIRECTORY}
    yield Edit(service, router_path("volumeMounts", (SCRATCH_DIRECTORY,)), mount, because)
    spread = {
        "maxSkew": 1,
        "topologyKey": NodeLabel.HOSTNAME,
        "whenUnsatisfiable": "ScheduleAnyway",
        "labelSelector": {"matchLabels": app.role_labels(ROUTING)},
    }
    yield Edit(service, pod_path(ROUTING, "topologySpreadConstraints"), [spread], SPREAD)
