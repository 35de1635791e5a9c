"""Volcano on the NPU roles: scheduler, gang size, logical super pods, queue.

Only roles that ask for NPUs go to Volcano. A routing pod in the shared PodGroup would count as a gang member and may
create the PodGroup without NPUs, which turns chip assignment off for the whole group.
"""

from __future__ import annotations

from collections.abc import Iterator

from stormc.facts.keys import VOLCANO, Annotation
from stormc.model.app import App
from stormc.model.profile import Platform
from stormc.passes.because import ROLE, fact, of
from stormc.passes.edit import Edit, storm
from stormc.targets.storm_service import pod_path, role_path

BY_VOLCANO = fact("mindcluster", "MindCluster guide, parameter table of StormService")
GANG_SOURCE = "MindCluster guide, parameter table; ascend-for-volcano plugin/job.go:554"
GANG = of((ROLE, "minAvailable"))._replace(source=GANG_SOURCE)
SUPER_POD_BLOCK = of((ROLE, "spBlock"))
VOLCANO_QUEUE = of((ROLE, "queue"))


def apply(app: App, platform: Platform) -> Iterator[Edit]:
    """schedulerName, schedule_minAvailable, sp-block and queue of both serving roles."""
    service = storm(app)
    for role in app.serving_roles:
        annotations = ("template", "metadata", "annotations")
        yield Edit(service, pod_path(role.name, "schedulerName"), VOLCANO, BY_VOLCANO)
        gang = role.min_available or app.gang(role)
        path = role_path(role.name, *annotations, Annotation.SCHEDULE_MIN_AVAILABLE)
        yield Edit(service, path, str(gang), GANG)
        if role.sp_block:
            path = role_path(role.name, *annotations, Annotation.SP_BLOCK)
            yield Edit(service, path, str(role.sp_block), SUPER_POD_BLOCK)
        if role.queue:
            yield Edit(service, role_path(role.name, *annotations, Annotation.QUEUE_NAME), role.queue, VOLCANO_QUEUE)
