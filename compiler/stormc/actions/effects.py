"""What a render does to running pods: the services whose files it replaces or removes, before and after."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stormc.load.document import load_document
from stormc.model.layers import load_minutes
from stormc.record import NamedTuple
from stormc.repository.repository import Repository
from stormc.targets.programs import proxy_config_name
from stormc.tree.layout import Identity, file_start, identity
from stormc.tree.plan import Plan
from stormc.tree.read import on_disk

if TYPE_CHECKING:
    from stormc.review.effect import AppEffect

STORM_SERVICE, PROXY_CONFIG = f"/{file_start('StormService')}", f"{proxy_config_name('')}.yaml"
"""Parts of the paths of rendered files (tree/layout.py)."""
MOST = 50
"""Services whose effects are worked out in one render; a new stormc may change thousands."""


class ServiceEffect(NamedTuple):
    """A service that was rendered before, and what happens to its pods; `moved_from` is its earlier directory."""

    label: str
    effect: AppEffect
    moved_from: str = ""


class Effects(NamedTuple):
    """The effects of a render, the gravest first, and how many more services it changes (beyond MOST)."""

    services: tuple[ServiceEffect, ...] = ()
    more: int = 0


def effects_of(repository: Repository, out: Path, plan: Plan) -> Effects:
    """The effect on every service that was rendered before. Reads nothing where no such file changes."""
    cluster = cache(repository.platforms.cluster_of)
    old = {(cluster(path.rpartition("/")[0]), *who): path for who, path in _services(plan, out)}
    if not old:
        return Effects()
    from stormc.review.effect import What  # as long to load as a spec to read
    from stormc.review.words import told_apart

    new = {
        (cluster(path.rpartition("/")[0]), *service): path
        for path, text in plan.writes.items() if STORM_SERVICE in path and (service := _who(text))
    }  # fmt: skip
    looked_at = sorted(old)[:MOST]
    labels = told_apart([(f"{namespace}/{name}", place) for place, namespace, name in looked_at])
    services = [
        _effect_on_disk(repository, out, plan, label, old[who], new.get(who))
        for label, who in zip(labels, looked_at, strict=True)
    ]
    known = [service for service in services if service is not None]
    affected = [one for one in known if one.effect.worst is not What.NOTHING or one.moved_from]
    affected.sort(key=lambda one: (-one.effect.disturbed_npus, one.label))
    return Effects(tuple(affected), max(len(old) - MOST, 0))


def _who(text: bytes) -> tuple[str, str] | None:
    rendered: Identity | None = identity(text)
    return (rendered.namespace, rendered.name) if rendered is not None else None


def _services(plan: Plan, out: Path) -> Iterator[tuple[tuple[str, str], str]]:
    """The services on disk whose StormService or proxy configuration is replaced or removed, with their directory."""
    changed = {p.rpartition("/")[0] for p in plan.paths if STORM_SERVICE in p or PROXY_CONFIG in p}
    for directory in changed:
        for name in _names(out, directory):
            text = on_disk(out, f"{directory}/{name}")
            if text is not None and (who := _who(text)):
                yield who, f"{directory}/{name}"


def _names(out: Path, directory: str) -> list[str]:
    try:
        return sorted(p.name for p in (out / directory).iterdir() if f"/{p.name}".startswith(STORM_SERVICE))
    except OSError:
        return []


def _effect_on_disk(
    repository: Repository, out: Path, plan: Plan, label: str, before: str, after: str | None
) -> ServiceEffect | None:  # fmt: skip
    """The effect on a service; None where the file on disk is no StormService: a branch may hold anything there."""
    try:
        return _effect(repository, out, plan, label, before, after)
    except (LookupError, TypeError, AttributeError, ValueError):
        return None


def _effect(repository: Repository, out: Path, plan: Plan, label: str, before: str, after: str | None) -> ServiceEffect:
    from stormc.review.effect import effect

    path = after or (before if before not in plan.removals else None)
    directory = before.rpartition("/")[0]
    old, new = _manifests(before, lambda at: on_disk(out, at)), None
    if path is not None:
        new = _manifests(path, lambda at: plan.writes.get(at) or on_disk(out, at))
    release = repository.platforms.platform(directory.rpartition("/")[0]).aibrix
    minutes = _load_minutes(repository, plan.writes.get(path) if path else None)
    moved = directory if path and path.rpartition("/")[0] != directory else ""
    return ServiceEffect(label, effect(old, new, (release, release), minutes), moved)


def _load_minutes(repository: Repository, text: bytes | None) -> int | None:
    """What the spec of a rendered file says of the minutes until a pod answers."""
    who = identity(text) if text is not None else None
    file = who.spec_file if who is not None else ""
    source = next((one for one in repository.apps if repository.sources.spec_file(one) == file), None)
    return load_minutes(repository.layered(source)[0]) if source is not None else None


def _manifests(storm_service: str, read: Callable[[str], bytes | None]) -> Sequence[Mapping[str, Any]]:
    """The StormService of a file and the configuration of its proxy, beside it."""
    directory, _, name = storm_service.removesuffix(".yaml").rpartition(STORM_SERVICE)
    paths = (storm_service, f"{directory}/{file_start('ConfigMap')}{name}{PROXY_CONFIG}")
    texts = [(path, text) for path in paths if (text := read(path)) is not None]
    documents = [load_document(path, text)[0] for path, text in texts]
    return [document.data for document in documents if document is not None]
