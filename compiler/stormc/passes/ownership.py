"""Whose the objects are: recommended labels on every object, the spec's file and digest on the StormService.

Object metadata only. A label inside a pod template is part of the pod hash, and a change of it restarts NPU pods that
take half an hour to load a model (AIBrix v0.5.0 pkg/controller/util/controller_utils.go:59-71).
"""

from __future__ import annotations

from collections.abc import Iterator

from stormc.model.app import App, Ref
from stormc.model.profile import Platform
from stormc.passes.edit import Edit, storm

MANAGER = "stormc"

# Argo CD asks before it deletes (docs/user-guide/sync-options.md); Flux has no question, so it never deletes.
ARGOCD_GUARD = ("argocd.argoproj.io/sync-options", "Prune=confirm,Delete=confirm")
FLUX_GUARD = ("kustomize.toolkit.fluxcd.io/prune", "disabled")
FLUX_VERBATIM = ("kustomize.toolkit.fluxcd.io/substitute", "disabled")
"""Shell and Python in StormServices and ConfigMaps hold `${…}`, which Flux would substitute under a postBuild."""


def apply(app: App, platform: Platform) -> Iterator[Edit]:
    """app.kubernetes.io labels everywhere; spec, digest and the guards of the wired engines on the StormService."""
    for ref in app.objects:
        for key, value in (("managed-by", MANAGER), ("name", app.name), ("part-of", app.name)):
            yield Edit(ref, ("metadata", "labels", f"app.kubernetes.io/{key}"), value, "ownership")
    for key, value in (("spec", app.spec_file), ("spec-digest", app.digest)):
        yield Edit(storm(app), ("metadata", "annotations", f"stormc.dev/{key}"), value, "ownership")
    for ref, (key, value), because in _guards(app, platform):
        yield Edit(ref, ("metadata", "annotations", key), value, because)


def _guards(app: App, platform: Platform) -> Iterator[tuple[Ref, tuple[str, str], str]]:
    """What keeps an engine from deleting the StormService by accident: its pods take half an hour to come back."""
    if platform.gitops.argocd:
        yield storm(app), ARGOCD_GUARD, "platform gitops.argocd"
    if platform.gitops.flux:
        yield storm(app), FLUX_GUARD, "platform gitops.flux"
        for ref in app.objects:
            if ref.kind in ("StormService", "ConfigMap"):
                yield ref, FLUX_VERBATIM, "platform gitops.flux"
