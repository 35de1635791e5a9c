"""Argo CD: an AppProject, an ApplicationSet over the app directories, and settings for health and comparison.

People apply the entry once: an Application that syncs the rest of the wiring, and a fragment of argocd-cm.

The settings suit services that load models for half an hour. No sync waves and no PruneLast, which would hold the
operation until everything is healthy; retries are for refused requests, not for slow pods. When a directory is
removed, its objects stay in the cluster: the ApplicationSet removes only the Application.
"""

from __future__ import annotations

import re
from typing import Any

from stormc.facts import kinds
from stormc.facts.keys import Annotation, Label
from stormc.gitops.health import ROLE_SET, STORM_SERVICE, Health, lua
from stormc.gitops.wiring import Manifest, Wiring, joined, shared_set, unit_name
from stormc.model.profile import ArgoCD
from stormc.tree.shared import DIRECTORY as SHARED

SYNCED = "wiring"

# Relative to the Application's own directory: a commit elsewhere in the repository renders nothing anew
# (argo-cd docs/operator-manual/high_availability.md). Server-side diff sees what the AIBrix webhook and CRD defaults
# make of our bytes, so neither is a difference (docs/user-guide/diff-strategies.md).
ANNOTATIONS = {
    Annotation.ARGOCD_COMPARE_OPTIONS: "ServerSideDiff=true",
    Annotation.ARGOCD_GENERATE_PATHS: ".",
}
SYNC_POLICY = {
    "automated": {"prune": True, "selfHeal": True},
    "syncOptions": ["ServerSideApply=true", "FailOnSharedResource=true"],
    "retry": {"limit": 10, "backoff": {"duration": "30s", "factor": 2, "maxDuration": "10m"}},
}

# What controllers make of our objects. Kinds that a project does not list are hidden from the resource tree
# (argo-cd controller/appcontroller.go getResourceTree).
CHILDREN = (
    ("", "Endpoints"), ("", "Pod"), ("apps", "ControllerRevision"), ("discovery.k8s.io", "EndpointSlice"),
    (kinds.ORCHESTRATION, "PodSet"), (kinds.ORCHESTRATION, "RoleSet"), (kinds.SCHEDULING, "PodGroup"),
)  # fmt: skip
KNOWN_TYPES = "- field: spec.template.spec.roles.template.spec\n  type: core/v1/PodSpec\n"
"""Argo CD compares the pods of every role as pods: 1000m equals 1 (argo-cd util/argo/normalizers)."""


def entry(wiring: Wiring, settings: ArgoCD) -> list[Manifest]:
    """The objects that people apply once: an Application, and a ConfigMap that adds keys to Argo CD's own."""
    return [_application(wiring, settings), _settings(settings)]


def synced(wiring: Wiring, settings: ArgoCD) -> list[Manifest]:
    """The objects that the Application of `entry` keeps up to date."""
    manifests = [_project(wiring, settings)]
    if wiring.shared:
        manifests.append(_shared_set(wiring, settings))
    return [*manifests, _application_set(wiring, settings)] if wiring.apps else manifests


def _object(kind: str, name: str, settings: ArgoCD, spec: Manifest, **more: Manifest) -> Manifest:
    labels = {Label.MANAGED_BY: "stormc"}
    metadata = {"name": name, "namespace": settings.namespace, "labels": labels, **more}
    return {"apiVersion": kinds.ARGOCD, "kind": kind, "metadata": metadata, "spec": spec}


def _application(wiring: Wiring, settings: ArgoCD) -> Manifest:
    """It prunes nothing, so an accident with the wiring takes no Application away."""
    return _object("Application", wiring.request.application, settings, {
        "project": "default",
        "source": {
            "repoURL": settings.repo_url,
            "targetRevision": settings.revision,
            "path": joined(settings.path, wiring.root, "argocd", SYNCED),
        },
        "destination": {"server": kinds.IN_CLUSTER, "namespace": settings.namespace},
        "syncPolicy": {**SYNC_POLICY, "automated": {"selfHeal": True}},
    }, annotations=ANNOTATIONS)  # fmt: skip


def _destinations(wiring: Wiring, settings: ArgoCD) -> list[Manifest]:
    """The cluster and namespaces that the project allows: those that the platform file lists, else those in use."""
    used = {app.namespace for app in wiring.apps} | {place.namespace for place in wiring.shared}
    namespaces = settings.destinations or sorted(used)
    return [{"server": settings.server, "namespace": namespace} for namespace in namespaces]


def _project(wiring: Wiring, settings: ArgoCD) -> Manifest:
    """In a wave before the ApplicationSets, which look for their project once and then not for minutes.

    They are in no wave of their own: where Argo CD waits for one that is Degraded, it creates nothing after it.
    """
    rendered = {(version.rpartition("/")[0], kind) for kind, version in kinds.API_VERSIONS.items()}
    return _object("AppProject", settings.project, settings, {
        "description": f"Services below {joined(settings.path, wiring.directory)}",
        "sourceRepos": [settings.repo_url],
        "destinations": _destinations(wiring, settings),
        "namespaceResourceWhitelist": [{"group": g, "kind": k} for g, k in sorted(rendered.union(CHILDREN))],
    }, annotations={Annotation.ARGOCD_SYNC_WAVE: "-1"})  # fmt: skip


def _application_set(wiring: Wiring, settings: ArgoCD) -> Manifest:
    # Argo CD refuses an Application without a namespace that its project allows, also where every object names its
    # own (argo-cd util/argo/argo.go ValidatePermissions); it then checks each object as well.
    destination = {"server": settings.server, "namespace": min(app.namespace for app in wiring.apps)}
    name = f'{{{{ .path.path | trimPrefix "{settings.path}/" | replace "/" "-" | normalize }}}}'
    return _set(settings.project, settings, directories(wiring, settings), name, destination)


def _shared_set(wiring: Wiring, settings: ArgoCD) -> Manifest:
    """The Applications of what apps share, one per namespace. A pod that comes before them waits for what it mounts."""
    pattern = joined(_literal(joined(settings.path, wiring.directory, SHARED)), "*")
    prefix = unit_name(joined(wiring.directory, "shared"))
    destination = {"server": settings.server, "namespace": "{{ .path.basename }}"}
    name = f"{prefix}-{{{{ .path.basename }}}}"
    return _set(shared_set(settings.project), settings, [{"path": pattern}], name, destination)


def _set(
    title: str, settings: ArgoCD, selected: list[dict[str, Any]], name: str, destination: Manifest
) -> Manifest:  # fmt: skip
    """An ApplicationSet that makes an Application of every selected directory."""
    repository = {"repoURL": settings.repo_url, "revision": settings.revision}
    source = {"repoURL": settings.repo_url, "targetRevision": settings.revision, "path": "{{ .path.path }}"}
    return _object("ApplicationSet", title, settings, {
        "goTemplate": True,
        "goTemplateOptions": ["missingkey=error"],
        "generators": [{"git": {**repository, "directories": selected}}],
        # An Application without a finalizer: when its directory is gone it goes, and leaves its objects.
        "syncPolicy": {"preserveResourcesOnDeletion": True},
        # Otherwise its controller takes a confirmation away as soon as it sees it, often before the sync has read it
        # (argo-cd applicationset/controllers/applicationset_controller.go, createOrUpdateInCluster).
        "preservedFields": {"annotations": [Annotation.ARGOCD_DELETION_APPROVED]},
        "template": {
            "metadata": {"name": name, "annotations": ANNOTATIONS},
            "spec": {
                "project": settings.project,
                "source": source,
                "destination": destination,
                "syncPolicy": SYNC_POLICY,
            },
        },
    })  # fmt: skip


def directories(wiring: Wiring, settings: ArgoCD) -> list[dict[str, Any]]:
    """Patterns of Go's path.Match that select the app directories of this wiring, and nothing else there is.

    One `<directory>/*` per directory that holds apps, so a new app beside another changes nothing here. What it would
    select wrongly is excluded by name: the wiring itself, and directories of directories.
    """
    apps = {app.directory for app in wiring.apps}
    parents = {path.rpartition("/")[0] for path in apps}
    others = {wiring.root, *wiring.branches} - apps - {""}
    excluded = sorted(path for path in others if path.rpartition("/")[0] in parents)
    included = [joined(_literal(joined(settings.path, parent)), "*") for parent in sorted(parents)]
    return [
        *({"path": pattern} for pattern in included),
        *({"path": _literal(joined(settings.path, path)), "exclude": True} for path in excluded),
    ]


def _literal(path: str) -> str:
    return re.sub(r"[*?\[\]\\]", r"\\\g<0>", path)


def _settings(settings: ArgoCD) -> Manifest:
    keys = {f"resource.customizations.health.{_type(health)}": lua(health) for health in (STORM_SERVICE, ROLE_SET)}
    known = {f"resource.customizations.knownTypeFields.{_type(STORM_SERVICE)}": KNOWN_TYPES}
    labels = {Label.NAME: "argocd-cm", Label.PART_OF: "argocd"}
    metadata = {"name": "argocd-cm", "namespace": settings.namespace, "labels": labels}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": keys | known}


def _type(health: Health) -> str:
    return f"{health.group}_{health.kind}"
