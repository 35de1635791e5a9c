"""The values around a compilation: what goes in, how far it goes, what comes out."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from enum import IntEnum
from typing import TYPE_CHECKING

from stormc.policy.policy import NO_POLICY, Policy
from stormc.record import NamedTuple, Record

if TYPE_CHECKING:
    from stormc.emit.crd import Crd
    from stormc.finding import Finding
    from stormc.load.engines import Engines
    from stormc.load.sources import Source
    from stormc.model.app import App
    from stormc.model.layers import Layered
    from stormc.model.profile import Platform, Profile
    from stormc.model.summary import Summary
    from stormc.passes.origins import Origins
    from stormc.passes.runner import Compiled
    from stormc.payload.read import Payload


class Stage(IntEnum):
    """How far a compilation goes."""

    APP = 1
    """The fields are checked, the app is built, and the rules about it are applied."""
    MANIFESTS = 2
    """The passes have run, and the rules about their manifests are applied."""
    DRAFT = 3
    """The manifests are laid out as files; those of an app without overrides are not held against schemas."""
    FILES = 4
    """The manifests are held against the API server's schemas and laid out as files."""


class Spec(NamedTuple):
    """The fields of one app over the defaults of its platform files; `file` is the name that rendered files give it."""

    source: Source
    layered: Layered
    file: str


class Setting(Record):
    """Everything else that goes into a compilation.

    `profile` is the one that the spec's hardware field names; None where no profile has that name, or where it has
    errors of its own. `profile_names` has every name, with errors or without, each with what the scheduler calls the
    product. `stand_ins` are profiles of different products: of an app whose hardware nobody knows, what holds of all of
    them is said. `inventory` is the directory of the platform file whose NPUs the app takes; `crd` is a
    CustomResourceDefinition to hold the StormService against.
    """

    platform: Platform
    profile: Profile | None
    profile_names: Mapping[str, Collection[str]]
    payload: Payload
    engines: Engines
    inventory: str | None = None
    crd: Crd | None = None
    policy: Policy = NO_POLICY
    stand_ins: tuple[Profile, ...] = ()


class Compilation(Record):
    """What became of one spec. What a later stage makes is None where an error came before it, or nobody asked.

    `app` and `compiled` survive errors of rules: `app` is what the spec says, `compiled` holds the manifests without
    the keys and overrides that make them impossible. There are `files` only without errors.
    """

    source: Source
    findings: tuple[Finding, ...]
    layered: Layered | None = None
    app: App | None = None
    summary: Summary | None = None
    compiled: Compiled | None = None
    files: Mapping[str, bytes] | None = None

    def origins(self) -> Origins:
        """Where every value of the manifests comes from. Needs manifests, and runs the passes once more."""
        from stormc.passes import PIPELINE
        from stormc.passes.origins import trace_pipeline

        assert self.compiled is not None and self.layered is not None
        return trace_pipeline(PIPELINE, self.compiled.app, self.compiled.platform, self.layered.data)

    def result(self) -> Compilation:
        """The parts that a check of many specs keeps: source, findings and summary."""
        return Compilation(self.source, self.findings, summary=self.summary)
