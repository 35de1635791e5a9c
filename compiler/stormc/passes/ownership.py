"""Whose the objects are: recommended labels on every object, the spec's file and digest on the StormService.

Object metadata only. A label inside a pod template is part of the pod hash, and a change of it restarts NPU pods that
take half an hour to load a model (AIBrix v0.5.0 pkg/controller/util/controller_utils.go:59-71).
"""

from __future__ import annotations

from collections.abc import Iterator

from stormc.facts.keys import Annotation, Label
from stormc.model.app import App, Ref
from stormc.model.profile import Platform
from stormc.passes.because import Because, fact, of
from stormc.passes.edit import Edit, storm

MANAGER = "stormc"

# Argo CD asks before it deletes (docs/user-guide/sync-options.md); Flux has no question, so it never deletes.
ARGOCD_GUARD = (Annotation.ARGOCD_SYNC_OPTIONS, "Prune=confirm,Delete=confirm")
FLUX_GUARD = (Annotation.FLUX_PRUNE, "disabled")
FLUX_VERBATIM = (Annotation.FLUX_SUBSTITUTE, "disabled")
"""Shell and Python in StormServices and ConfigMaps hold `${…}`, which Flux would substitute under a postBuild."""

BY_STORMC = fact("stormc", "Kubernetes recommended labels; docs/gitops.md")
OF_APP = of(("name",))
SPEC_FILE = fact("spec.file", "the path of the spec")
SPEC_DIGEST = of(())
ARGOCD = fact("platform.gitops.argocd", "Argo CD docs/user-guide/sync-options.md")
FLUX = fact("platform.gitops.flux", "Flux kustomize-controller, annotations prune and substitute")


def apply(app: App, platform: Platform) -> Iterator[Edit]:
    """app.kubernetes.io labels everywhere; spec, digest and the guards of the wired engines on the StormService."""
    for ref in app.objects:
        yield Edit(ref, ("metadata", "labels", Label.MANAGED_BY), MANAGER, BY_STORMC)
        yield Edit(ref, ("metadata", "labels", Label.NAME), app.name, OF_APP)
        yield Edit(ref, ("metadata", "labels", Label.PART_OF), app.name, OF_APP)
    yield Edit(storm(app), ("metadata", "annotations", Annotation.STORMC_SPEC), app.spec_file, SPEC_FILE)
    yield Edit(storm(app), ("metadata", "annotations", Annotation.STORMC_SPEC_DIGEST), app.digest, SPEC_DIGEST)
    for ref, (key, value), because in _guards(app, platform):
        yield Edit(ref, ("metadata", "annotations", key), value, because)


def _guards(app: App, platform: Platform) -> Iterator[tuple[Ref, tuple[str, str], Because]]:
    """What keeps an engine from deleting the StormService by accident: its pods take half an hour to come back."""
    if platform.gitops.argocd:
        yield storm(app), ARGOCD_GUARD, ARGOCD
    if platform.gitops.flux:
        yield storm(app), FLUX_GUARD, FLUX
        for ref in app.objects:
            if ref.kind in ("StormService", "ConfigMap"):
                yield ref, FLUX_VERBATIM, FLUX
