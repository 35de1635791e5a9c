"""Survey: the NPUs that all apps of a repository need, and the nodes that platform files count."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from stormc.compile.compilation import Stage
from stormc.finding import Finding, has_errors
from stormc.load.releases import AIBrix
from stormc.load.sources import Sources, read_sources
from stormc.payload.read import read_payload
from stormc.record import NamedTuple
from stormc.repository.repository import Repository, open_repository
from stormc.review.capacity import Demand, Rollout, capacity, rollout
from stormc.review.effect import effect
from stormc.review.gangs import gangs
from stormc.review.placing import Pool
from stormc.review.words import told_apart


class App(NamedTuple):
    """An app without errors. `label` is its name in reports, `name` is namespace/name, `aibrix` its AIBrix release.

    `super_pod` says whether its hardware comes in super pods.
    """

    label: str
    name: str
    file: str
    manifests: Sequence[Mapping[str, Any]]
    aibrix: AIBrix
    super_pod: bool


class Survey(NamedTuple):
    """Pools and demands of a repository, its apps, and the errors of those that could not be counted."""

    pools: tuple[Pool, ...]
    demands: tuple[Demand, ...]
    apps: tuple[App, ...]
    errors: tuple[Finding, ...]


def survey(specs: Path | Sources) -> Survey:
    """What the apps of a specs directory need, and what inventories have. Raises Failure without the directory."""
    repository = open_repository(read_sources(specs) if isinstance(specs, Path) else specs)
    payload = read_payload()
    compiled, errors = [], [f for f in repository.findings if f.rule[0] == "E"]
    for source in repository.apps:
        compilation = repository.compile(source, payload, Stage.MANIFESTS)
        if has_errors(compilation.findings) or compilation.compiled is None or compilation.summary is None:
            errors += [f for f in compilation.findings if f.rule[0] == "E"]
            continue
        release = repository.platforms.platform(source.directory).aibrix
        compiled.append((source.file, compilation.summary, compilation.compiled.manifests, release))
    names = [(f"{summary.namespace}/{summary.name}", summary.cluster) for _, summary, _, _ in compiled]
    demands, apps = [], []
    for (name, _), label, (file, summary, manifests, release) in zip(names, told_apart(names), compiled, strict=True):
        profile = repository.profiles.get(summary.hardware)
        apps.append(App(label, name, file, manifests, release, profile is not None and profile.super_pod))
        demands.append(Demand(label, summary.hardware, summary.inventory, tuple(gangs(label, manifests))))
    return Survey(tuple(_pools(repository)), tuple(demands), tuple(apps), tuple(errors))


def rollout_of(before: Survey, after: Survey) -> Rollout:
    """What a change does to the pools: before it, while it rolls out, and after it."""
    old = {app.label: app for app in before.apps}
    pairs = [(old[app.label], app) for app in after.apps if app.label in old]
    left_behind = {
        app.label
        for was, app in pairs
        if any(role.orphaned for role in effect(was.manifests, app.manifests, (was.aibrix, app.aibrix)).roles)
    }
    return rollout(capacity(before.pools, before.demands), capacity(after.pools, after.demands), left_behind)


def rollout_between(specs: Path, base: str | None, head: str | None, branches: tuple[str, ...]) -> Rollout | None:
    """The pools before, during and after the change that `diff` compares; None where no platform file counts nodes.

    Raises Failure as `diff` does.
    """
    from stormc.actions.comparing import committed_sources
    from stormc.history.trees import comparison

    compared = comparison(specs, base, head, branches)
    old = committed_sources(specs, compared.base)
    new = committed_sources(specs, compared.head) if compared.head is not None else read_sources(specs)
    if not any(open_repository(sources).inventories for sources in (old, new)):
        return None
    return rollout_of(survey(old), survey(new))


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
