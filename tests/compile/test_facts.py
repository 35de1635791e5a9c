"""Origins against facts from outside of the spec: every leaf that a platform or a hardware profile changes says so."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from stormc.finding import Path
from stormc.model.app import App
from stormc.model.profile import Platform
from stormc.passes.because import Because
from stormc.passes.origins import Origin
from tests.compile import facts
from tests.compile.oracle import Place, build, compiled, differing, origins_of, spec_of
from tests.compile.spec_fields import OVERRIDES

SPECS: dict[str, dict[Path, Any]] = {
    "base": {},
    "everything set": {("hostArch",): "arm", ("prefill", "npus"): 8, ("kvTransfer", "port"): 30000,
                       ("prefill", "resources", "cpu"): "3", ("decode", "nodeSelector", "zone"): "a"},
    "huawei.com/npu": {("hardware",): "atlas-950-superpod", ("namespace",): "one"},
    "an override": {("overrides",): OVERRIDES[3]},
}  # fmt: skip
OTHER = Platform(mindcluster=facts.PLATFORM["mindcluster"][-1], namespace="team", gitops=facts.PLATFORM["gitops"][1])
PLATFORMS = {"of today": Platform(), "other": OTHER}
Origins = Mapping[Place, Origin]


def last(origin: Origin) -> Because:
    return origin[-1].because


def undeclared(differences: set[Place], sides: tuple[Origins, Origins], fact: str) -> set[Place]:
    """The leaves that a fact changes and that name it on neither side as what decides value or existence."""
    names = facts.names_of(fact)
    return {
        place
        for place in differences
        for origins in sides
        if place in origins and not {last(origins[place]).fact, last(origins[place]).exists_if_fact} & set(names)
    }


def namespaceless(fields: Mapping[Path, Any]) -> dict[str, Any]:
    spec = spec_of(fields)
    return spec if ("namespace",) in fields else {key: value for key, value in spec.items() if key != "namespace"}


def built(spec: Mapping[str, Any], platform: Platform) -> App:
    app = build(spec, platform)
    assert app is not None
    return app


@pytest.mark.parametrize("platform", PLATFORMS.values(), ids=PLATFORMS.keys())
@pytest.mark.parametrize("fields", SPECS.values(), ids=SPECS.keys())
def test_a_leaf_names_the_fact_of_the_platform_that_changes_it(fields: Mapping[Path, Any], platform: Platform) -> None:
    spec = namespaceless(fields)
    app = built(spec, platform)
    leaves, origins = compiled(app, platform), origins_of(app, spec, platform)
    open_ = {name for origin in origins.values() for name in (last(origin).fact, last(origin).exists_if_fact)}
    open_ = {name for name in open_ if name.startswith("platform.")}
    for fact, other in facts.other_platforms(platform):
        other_app = built(spec, other)
        differences = differing(leaves, compiled(other_app, other))
        if differences:
            assert not undeclared(differences, (origins, origins_of(other_app, spec, other)), fact)
            open_ -= set(facts.names_of(fact))
    assert not open_, "named, and without effect"


@pytest.mark.parametrize("fields", SPECS.values(), ids=SPECS.keys())
def test_a_leaf_names_the_hardware_that_changes_it(fields: Mapping[Path, Any]) -> None:
    spec = namespaceless(fields)
    app = built(spec, Platform())
    leaves, origins = compiled(app), origins_of(app, spec)
    for _, profile in facts.other_profiles(app.profile):
        other = build(spec, profile=profile)
        if other is None:
            continue
        sides = origins, origins_of(other, spec)
        for place in differing(leaves, compiled(other)):
            reasons = [last(side[place]) for side in sides if place in side]
            assert all(("hardware",) in (*reason.fields, *reason.exists_if) for reason in reasons), place
