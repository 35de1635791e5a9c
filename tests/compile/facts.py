"""Values that come in from outside of a spec: what its platform and its hardware profile may say instead."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from stormc.facts import limits
from stormc.load.releases import aibrix, mindcluster
from stormc.model.profile import ArgoCD, Flux, Gitops, Platform, Profile
from stormc.record import replace

_ARGOCD = ArgoCD("https://git.example/a", "project")
PLATFORM: dict[str, list[Any]] = {
    "mindcluster": [mindcluster(release) for release in limits.MINDCLUSTER_RELEASES],
    "aibrix": [aibrix(release) for release in limits.AIBRIX_RELEASES],
    "namespace": ["team", "default"],
    "super_pod_size": [16],
    "reserve_nodes": [0],
    "inventory": [{"atlas-900-a3-superpod": 96}],
    "gitops": [
        Gitops(),
        Gitops(_ARGOCD),
        Gitops(None, Flux("https://git.example/a")),
        Gitops(_ARGOCD, Flux("https://git.example/a")),
    ],
    "cluster_name": ["east"],
}
"""Every fact of a `Platform` with values other than its default."""
NAMES: dict[str, tuple[str, ...]] = {"gitops": ("platform.gitops.argocd", "platform.gitops.flux")}
"""What the reasons call a fact of the platform, where that is not its own name."""
PROFILE: dict[str, list[Any]] = {
    "name": ["other"],
    "product": ["Other"],
    "npus": [4, 8],
    "pod_npus": [(1, 2)],
    "host_arch": [None, "x86", "arm"],
    "resource": ["huawei.com/Ascend910", "huawei.com/npu"],
    "accelerator_type": ["other"],
    "schedule_policy": ["other"],
    "super_pod": [True, False],
    "mindcluster": ["7.3"],
    "documented": [True, False],
    "kv_port": [30100],
    "memory_gib": [None, 1],
    "device_mounts": [(), (("/etc/other.conf", "File"),)],
    "kv_extra": [{}, {"a": 1}],
    "requests": [{}, {"cpu": "3", "memory": "4Gi"}],
}
"""Every fact of a `Profile` with other values."""


def other_platforms(platform: Platform) -> Iterator[tuple[str, Platform]]:
    """Platforms that differ in one fact, with its name."""
    for name, values in PLATFORM.items():
        for value in values:
            if value != getattr(platform, name):
                yield name, replace(platform, **{name: value})


def other_profiles(profile: Profile) -> Iterator[tuple[str, Profile]]:
    """Profiles that differ in one fact, with its name."""
    for name, values in PROFILE.items():
        for value in values:
            if value != getattr(profile, name):
                yield name, replace(profile, **{name: value})


def names_of(fact: str) -> tuple[str, ...]:
    """What a reason calls a fact of the platform."""
    return NAMES.get(fact, (f"platform.{fact}",))
