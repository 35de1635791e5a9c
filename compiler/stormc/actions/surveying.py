"""All apps of a repository as demand for NPUs, and the pools of nodes that platform files count."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from stormc.compile.compilation import Stage
from stormc.finding import Finding, has_errors
from stormc.load.sources import Sources, read_sources
from stormc.payload.read import read_payload
from stormc.record import NamedTuple
from stormc.repository.repository import Repository, open_repository
from stormc.review.capacity import Demand
from stormc.review.gangs import gangs
from stormc.review.placing import Pool


class App(NamedTuple):
    """An app without errors: its name, its spec, and its manifests."""

    label: str
    file: str
    manifests: Sequence[Mapping[str, Any]]


class Survey(NamedTuple):
    """Pools and demands of a repository, its apps, and the errors of those that could not be counted."""

    pools: tuple[Pool, ...]
    demands: tuple[Demand, ...]
    apps: tuple[App, ...]
    errors: tuple[Finding, ...]


def survey(specs: Path | Sources) -> Survey:
    """What the apps of a specs directory need and what there is. Raises Failure without the directory."""
    repository = open_repository(read_sources(specs) if isinstance(specs, Path) else specs)
    payload = read_payload()
    demands, apps, errors = [], [], [f for f in repository.findings if f.rule[0] == "E"]
    for source in repository.apps:
        made = repository.compile(source, payload, Stage.MANIFESTS)
        if has_errors(made.findings) or made.compiled is None or made.summary is None:
            errors += [f for f in made.findings if f.rule[0] == "E"]
            continue
        label, manifests = f"{made.summary.namespace}/{made.summary.name}", made.compiled.manifests
        apps.append(App(label, source.file, manifests))
        summary = made.summary
        demands.append(Demand(label, summary.hardware, summary.inventory, tuple(gangs(label, manifests))))
    return Survey(tuple(_pools(repository)), tuple(demands), tuple(apps), tuple(errors))


def _pools(repository: Repository) -> list[Pool]:
    pools = []
    for inventory in repository.inventories:
        platform = repository.platforms.platform(inventory.directory)
        for hardware, npus in inventory.npus.items():
            profile = repository.profiles.get(hardware)
            if profile is None:
                continue
            size = platform.super_pod_size if profile.super_pod else 0
            reserved = platform.reserve_nodes if profile.super_pod else 0
            pools.append(Pool(inventory.directory, hardware, npus // profile.npus, profile.npus, size, reserved))
    return pools
