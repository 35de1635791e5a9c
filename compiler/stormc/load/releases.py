"""What differs between the releases of MindCluster and of AIBrix, from the files of facts/releases/.

A file is read once and remembered: it is part of the installation, as the code is.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

from stormc.load.document import load_document
from stormc.record import NamedTuple

FOLDER = Path(__file__).parent.parent / "facts" / "releases"


class MindCluster(NamedTuple):
    """The facts of one MindCluster release."""

    release: str
    labels_nodes: bool
    """Whether nodes carry accelerator-type and host-arch; where they do not, a selector leaves pods Pending."""
    infer_service_policies: tuple[str, ...]
    """The values of huawei.com/schedule_policy whose handlers read the label inferserviceid."""

    def __str__(self) -> str:
        return self.release


class AIBrix(NamedTuple):
    """The facts of one AIBrix release."""

    release: str
    sorts_environment: bool
    """Whether a container's variables are sorted by name, so that few can be used in the value of another."""
    hash_length: int
    """Characters of the hash of a pod template, at most, which stands in the names of pods."""
    roleset_index: str
    """The index of the only RoleSet, as AIBrix writes it to its pods."""
    labels_revision: bool
    """Whether pods outside of groups carry labels with the revision of their role; pods in groups never do."""
    gateway_takes_whole_groups: bool
    """Whether the gateway sends requests to every pod of a group, those included that answer no HTTP."""
    removes_pods_of_old_shape: bool
    """Whether the old pods of a role go when podGroupSize changes from 1 or to 1; else they are left behind."""

    def __str__(self) -> str:
        return self.release


@cache
def version(release: str) -> tuple[int, ...]:
    """A release as numbers that compare: 7.3 < 26.0 < 26.1, and v0.7.0 < v0.10.0."""
    return tuple(int(part) for part in release.lstrip("v").split("."))


@cache
def mindcluster(release: str) -> MindCluster:
    """The facts of a MindCluster release that has a file."""
    facts = _facts("mindcluster", release)
    return MindCluster(release, facts["labelsNodes"], tuple(facts["inferServicePolicies"]))


@cache
def aibrix(release: str) -> AIBrix:
    """The facts of an AIBrix release that has a file."""
    facts = _facts("aibrix", release)
    return AIBrix(
        release,
        facts["sortsEnvironment"],
        facts["hashLength"],
        str(facts["rolesetIndex"]),
        facts["labelsRevision"],
        facts["gatewayTakesWholeGroups"],
        facts["removesPodsOfOldShape"],
    )


def _facts(product: str, release: str) -> dict[str, Any]:
    file = FOLDER / f"{product}-{release}.yaml"
    document, findings = load_document(str(file), file.read_bytes())
    if document is None:
        raise ValueError(f"{file}: {findings[0].message}")
    return dict(document.data)
