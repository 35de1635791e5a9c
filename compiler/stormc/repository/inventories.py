"""Inventories: the NPUs that platform files count, and which of them an app takes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from stormc.finding import Finding, closest
from stormc.model.checks import UNKNOWN_PROFILE
from stormc.model.profile import Platform
from stormc.phrase import phrase
from stormc.repository.platforms import Platforms
from stormc.repository.profiles import Profiles
from stormc.rules.repository import Inventory


def read_inventories(platforms: Platforms, profiles: Profiles) -> tuple[Inventory, ...]:
    """The inventories of all platform files, in NPUs."""
    inventories = []
    for directory, document in platforms.documents.items():
        nodes = document.data.get("inventory")
        if not nodes:
            continue
        known = {name: profile for name in nodes if (profile := profiles.get(name)) is not None}
        npus = {name: nodes[name]["nodes"] * profile.npus for name, profile in known.items()}
        marks = {name: document.locate(("inventory", name)) for name in nodes}
        platform = platforms.platform(directory)
        reserved = {name: _reserve(platform, nodes[name]["nodes"]) * profile.npus
                    for name, profile in known.items() if profile.super_pod}  # fmt: skip
        inventories.append(Inventory(directory, document.file, npus, marks, reserved))
    return tuple(inventories)


def unknown_products(platforms: Platforms, profiles: Profiles) -> Iterator[Finding]:
    """A finding for every product of an inventory that no profile describes: its nodes would count for nobody."""
    for document in platforms.documents.values():
        nodes = document.data.get("inventory")
        for name in nodes if isinstance(nodes, dict) else ():
            if name not in profiles.names:
                meant = closest(name, profiles.names)
                hint = phrase("did you mean {meant}?", meant=meant) if meant else phrase("stormc profiles lists them")
                message = phrase("inventory.{name} is no known profile", name=name)
                yield Finding(UNKNOWN_PROFILE, document.file, document.keys[("inventory", name)], message, hint)


def _reserve(platform: Platform, nodes: int) -> int:
    """Nodes in reserve: some of each super pod, the last of which may be smaller."""
    whole, rest = divmod(nodes, platform.super_pod_size)
    return whole * min(platform.reserve_nodes, platform.super_pod_size) + min(platform.reserve_nodes, rest)


def inventory_of(inventories: Sequence[Inventory], chain: Sequence[str], hardware: str) -> str | None:
    """The directory of the platform file whose inventory an app takes from: the nearest with its hardware.

    `chain` are the directories with a platform file from the top down to the app.
    """
    near = [inventory for inventory in inventories if inventory.directory in chain]
    counting = [inventory.directory for inventory in near if hardware in inventory.npus]
    return max(counting or [inventory.directory for inventory in near], key=len, default=None)
