"""Flux applies every layout of a repository that stormc can wire, each from a namespace of its own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

import pytest

from stormc.cluster.kinds import Kind
from tests.e2e.live.aibrix import releases
from tests.e2e.live.cluster import LiveCluster
from tests.e2e.live.commands import kubectl
from tests.e2e.live.flux import Flux
from tests.e2e.live.layouts import LAYOUTS, LaidOut, Layout

SECRET = Kind("Secret", "v1", "secrets")

pytestmark = pytest.mark.parametrize("live", releases()[-1:], indirect=True, ids=lambda release: release.label)


class Engine(NamedTuple):
    """Flux, and the layouts by name that it applies."""

    flux: Flux
    layouts: Mapping[str, LaidOut]


@pytest.fixture(scope="module")
def engine(live: LiveCluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """One Flux, which sees all namespaces, with a layout in each; it applies them side by side."""
    flux, made = Flux(live.plane), {}
    try:
        for layout in LAYOUTS:
            directory, namespace = tmp_path_factory.mktemp(layout.name), live.namespace(f"flux-{layout.name}")
            made[layout.name] = each = LaidOut(layout, "flux", live, directory)
            if layout.password:
                register(live, layout, namespace)
            for entry in each.entries:
                kubectl(live.plane, ["apply", "--server-side", "-k", str(entry)])
        yield Engine(flux, made)
    finally:
        flux.stop()
        for each in made.values():
            each.close()


def register(live: LiveCluster, layout: Layout, namespace: str) -> None:
    """Writes the Secret with the repository's credentials."""
    metadata = {"name": layout.settings["flux"]["secret"], "namespace": namespace}
    data = {"username": "git", "password": layout.password}
    secret = {"apiVersion": "v1", "kind": SECRET.name, "metadata": metadata, "stringData": data}
    live.cluster.apply(SECRET, namespace, secret, dry_run=False, force=False)


@pytest.mark.parametrize("name", [layout.name for layout in LAYOUTS])
def test_every_app_becomes_ready_and_nothing_else(engine: Engine, name: str) -> None:
    flux, each, namespace = engine.flux, engine.layouts[name], f"flux-{name}"
    entries = {"-".join(filter(None, ("stormc", *below.split("/")))) for below in each.layout.directories}
    for kustomization in sorted(each.layout.units | entries):
        flux.until_ready(kustomization, each.commit, namespace)
    there = {k["metadata"]["name"] for k in flux.kustomizations.live() if k["metadata"]["namespace"] == namespace}
    assert there == each.layout.units | entries
    each.until_ready()
