"""Which objects on the cluster belong to an app, and whether a GitOps engine owns them."""

from __future__ import annotations

from collections.abc import Iterable

from stormc.cluster.connection import Cluster
from stormc.cluster.kinds import (
    APPLIED,
    CONFIG_MAP,
    MANAGED_BY,
    PART_OF,
    SERVICE,
    STORM_SERVICE,
    STORM_SERVICE_NAME,
    Kind,
    Manifest,
    kind_of,
)  # fmt: skip
from stormc.facts.keys import Annotation, Label
from stormc.payload.objects import COMPONENT

ENGINES = {
    Annotation.ARGOCD_TRACKING_ID: "Argo CD",  # argo-cd docs/user-guide/resource_tracking.md
    Annotation.ARGOCD_INSTANCE: "Argo CD",
    Label.INSTANCE: "Argo CD",  # its default until 3.0; stormc never writes this label
    Annotation.FLUX_NAME: "Flux",  # fluxcd/kustomize-controller, owner labels of every object
    Annotation.FLUX_HELM_NAME: "Flux",
}


def engine(live: Manifest) -> str | None:
    """The GitOps engine that owns an object, by the marks it leaves: Argo CD, Flux, or None."""
    metadata = live["metadata"]
    marks = {**(metadata.get("annotations") or {}), **(metadata.get("labels") or {})}
    return next((name for key, name in ENGINES.items() if key in marks), None)


def owned(cluster: Cluster, namespace: str, app: str) -> list[tuple[Kind, Manifest]]:
    """Everything in the namespace that stormc applied for the app, StormService last. Raises Failure."""
    labels = {MANAGED_BY: "stormc", PART_OF: app}
    # AIBrix copies a StormService's labels to the headless Service that it makes; that one has an owner.
    return [
        (kind, item)
        for kind in APPLIED
        for item in cluster.find(kind, namespace, labels) or ()
        if not item["metadata"].get("ownerReferences")
    ]


def unneeded_shared(cluster: Cluster, namespace: str, app: str) -> list[tuple[Kind, Manifest]]:
    """The ConfigMaps that the apps of a namespace share, if no app but this one is left there. Raises Failure."""
    apps = cluster.find(STORM_SERVICE, namespace, {MANAGED_BY: "stormc"}) or ()
    if any(item["metadata"]["name"] != app for item in apps):
        return []
    labels = {MANAGED_BY: "stormc", Label.COMPONENT: COMPONENT}
    return [
        (CONFIG_MAP, {"kind": CONFIG_MAP.name, **item}) for item in cluster.find(CONFIG_MAP, namespace, labels) or ()
    ]


def of_deploy_tool(cluster: Cluster, namespace: str, app: str) -> list[tuple[Kind, Manifest]]:
    """What the k8s-deploy-tool made for an app: the StormService of its name, last, and Services with its label.

    As the tool itself finds them (mindcluster-deploy k8s-deploy-tool src/core/job_manager.py). Raises Failure.
    """
    services = cluster.find(SERVICE, namespace, {STORM_SERVICE_NAME: app}) or ()
    own = [(SERVICE, item) for item in services if not item["metadata"].get("ownerReferences")]
    live = cluster.get(STORM_SERVICE, namespace, app)
    return [*own, (STORM_SERVICE, {"kind": STORM_SERVICE.name, **live})] if live else own


def stale(owned: Iterable[tuple[Kind, Manifest]], manifests: Iterable[Manifest]) -> list[tuple[Kind, Manifest]]:
    """The objects that stormc applied earlier and that are not among the manifests."""
    rendered = {(kind_of(manifest), manifest["metadata"]["name"]) for manifest in manifests}
    return [(kind, item) for kind, item in owned if (kind, item["metadata"]["name"]) not in rendered]
