"""Whose the objects are: recommended labels on every object, the spec's file and digest on the StormService.

Object metadata only. A label inside a pod template is part of the pod hash, and a change of it restarts NPU pods that
take half an hour to load a model (AIBrix v0.5.0 pkg/controller/util/controller_utils.go:59-71).
"""

from __future__ import annotations

from collections.abc import Iterator

from compiler.passes.edit import Edit, storm
from compiler.spec.app import App
from compiler.spec.profile import Platform

MANAGER = "stormc"


def apply(app: App, platform: Platform) -> Iterator[Edit]:
    """app.kubernetes.io labels everywhere; stormc.dev/spec and stormc.dev/spec-digest on the StormService."""
    for ref in app.objects:
        for key, value in (("managed-by", MANAGER), ("name", app.name), ("part-of", app.name)):
            yield Edit(ref, ("metadata", "labels", f"app.kubernetes.io/{key}"), value, "ownership")
    for key, value in (("spec", app.spec_file), ("spec-digest", app.digest)):
        yield Edit(storm(app), ("metadata", "annotations", f"stormc.dev/{key}"), value, "ownership")
