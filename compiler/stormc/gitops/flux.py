"""Flux: a GitRepository, a Kustomization for the wiring, and below it one Kustomization per app.

People apply the entry once. Each app's Kustomization is ready when its StormService is, for as long as a rollout may
take: with Flux's default of waiting no longer than the interval, every rollout would end as a failure. When a directory
is removed, its objects stay in the cluster (deletionPolicy Orphan); when an object leaves a directory, it is pruned.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import ceil

from stormc.facts import kinds
from stormc.facts.keys import Label
from stormc.gitops.health import STORM_SERVICE, cel
from stormc.gitops.wiring import Manifest, Wiring, joined, shared_unit, unit_name
from stormc.model.profile import Flux
from stormc.model.summary import Summary

SYNCED = "apps"

INTERVAL, RETRY_INTERVAL, FETCH_INTERVAL = "10m", "2m", "1m"
ENTRY_TIMEOUT = "5m"
MARGIN_MINUTES = 15
"""Beyond the model loads: scheduling of the gang, pulling of the image, the routing role."""

HEALTH_CHECK = {
    "apiVersion": f"{STORM_SERVICE.group}/{STORM_SERVICE.version}",
    "kind": STORM_SERVICE.kind,
}
HEALTH_EXPRESSIONS = {
    **HEALTH_CHECK,
    **{answer: cel(STORM_SERVICE, answer) for answer in ("failed", "current")},
}
"""No `wait`: with it Flux ignores the health checks and judges every object (kustomize-controller issue 1407)."""


def entry(wiring: Wiring, settings: Flux) -> list[Manifest]:
    """The objects that people apply once."""
    name = wiring.request.kustomization
    repository = {
        "interval": FETCH_INTERVAL,
        "url": settings.repo_url,
        "ref": {"branch": settings.revision},
        **({"secretRef": {"name": settings.secret}} if settings.secret else {}),
    }
    path = joined(wiring.root, "flux", SYNCED)
    kustomization = _kustomization(wiring, settings, name, path, {"timeout": ENTRY_TIMEOUT})
    return [_object(kinds.FLUX_SOURCE, "GitRepository", name, settings, repository), kustomization]


def synced(wiring: Wiring, settings: Flux) -> list[Manifest]:
    """One Kustomization per app and per place that apps share, which the entry's Kustomization keeps up to date."""
    return [*_shared(wiring, settings), *_apps(wiring, settings)]


def _shared(wiring: Wiring, settings: Flux) -> Iterator[Manifest]:
    for place in wiring.shared:
        yield _kustomization(wiring, settings, shared_unit(place), place.directory,
                             {**_account(settings), "timeout": ENTRY_TIMEOUT})  # fmt: skip


def _apps(wiring: Wiring, settings: Flux) -> Iterator[Manifest]:
    for app in sorted(wiring.apps, key=lambda app: app.directory):
        check = {**HEALTH_CHECK, "name": app.name, "namespace": app.namespace}
        shared = [shared_unit(place) for place in wiring.shared if app.shared and place.namespace == app.namespace]
        # Flux looks at an app when these are ready in the same revision of the repository (kustomize-controller
        # checkDependencies), so apps that wait for their pods never keep a worker from the wiring's new revision.
        first = [{"name": name} for name in (wiring.request.kustomization, *shared)]
        health = {"healthChecks": [check], "healthCheckExprs": [HEALTH_EXPRESSIONS]}
        more = {**_account(settings), "dependsOn": first, "timeout": timeout(app), **health}
        yield _kustomization(wiring, settings, unit_name(app.directory), app.directory, more)


def _account(settings: Flux) -> Manifest:
    """As whom Flux applies what comes from specs; the wiring itself it applies as itself."""
    return {"serviceAccountName": settings.service_account} if settings.service_account else {}


def timeout(app: Summary) -> str:
    """Longer than the longest rollout: AIBrix replaces one instance after the other, each of which loads the model."""
    return f"{ceil(app.rollout_seconds / 60) + MARGIN_MINUTES}m"


def _kustomization(wiring: Wiring, settings: Flux, name: str, path: str, more: Manifest) -> Manifest:
    spec = {
        "interval": INTERVAL,
        "retryInterval": RETRY_INTERVAL,
        "path": f"./{joined(settings.path, path)}",
        "prune": True,
        "deletionPolicy": "Orphan",
        "sourceRef": {"kind": "GitRepository", "name": wiring.request.kustomization},
        **more,
    }
    return _object(kinds.FLUX_KUSTOMIZE, "Kustomization", name, settings, spec)


def _object(api_version: str, kind: str, name: str, settings: Flux, spec: Manifest) -> Manifest:
    metadata = {"name": name, "namespace": settings.namespace, "labels": {Label.MANAGED_BY: "stormc"}}
    return {"apiVersion": api_version, "kind": kind, "metadata": metadata, "spec": spec}
