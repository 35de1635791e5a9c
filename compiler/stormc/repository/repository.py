"""All specs of a directory as one value: apps, and what they share."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stormc.compile.compilation import Compilation, Setting, Spec, Stage
from stormc.finding import Finding
from stormc.load.document import load_document
from stormc.load.engines import read_engines
from stormc.load.sources import Source, Sources
from stormc.model.layers import Layered
from stormc.payload.read import Payload
from stormc.record import Record
from stormc.repository.inventories import inventory_of, read_inventories, unknown_products
from stormc.repository.platforms import Platforms, read_platforms
from stormc.repository.policies import policy_of
from stormc.repository.profiles import Profiles, own_profiles, stand_ins

if TYPE_CHECKING:
    from stormc.emit.crd import Crd
    from stormc.rules.repository import Inventory


class Repository(Record):
    """The sources of a specs directory, with platforms, profiles and inventories parsed; apps are still bytes."""

    sources: Sources
    apps: tuple[Source, ...]
    platforms: Platforms
    profiles: Profiles
    inventories: tuple[Inventory, ...]

    @property
    def findings(self) -> tuple[Finding, ...]:
        """The findings on platform files and profiles, and on files that cannot be read."""
        products = unknown_products(self.platforms, self.profiles)
        return (*self.sources.findings, *self.platforms.findings, *self.profiles.findings, *products)

    def layered(self, source: Source) -> tuple[Layered | None, list[Finding]]:
        """An app's fields over the defaults of its platform files; None, with findings, where the file is no YAML."""
        document, findings = load_document(source.file, source.raw)
        return (self.platforms.layered(source.directory, document) if document is not None else None), findings

    def compile(
        self, source: Source, payload: Payload, stop: Stage = Stage.FILES, crd: Crd | None = None
    ) -> Compilation:
        """One spec from bytes to files.

        An app below a platform file with errors is not checked: every finding there would be repeated for the app.
        """
        from stormc.compile.stages import compile_app

        if self.platforms.is_broken(source.directory):
            return Compilation(source, ())
        layered, findings = self.layered(source)
        if layered is None:
            return Compilation(source, tuple(findings))
        hardware = layered.data.get("hardware")
        profile = self.profiles.get(hardware) if isinstance(hardware, str) else None
        names = {} if profile else self.profiles.words
        chain = self.platforms.chain(source.directory)
        inventory = inventory_of(self.inventories, chain, profile.name) if profile else None
        platform, policy = self.platforms.platform(source.directory), policy_of(self.platforms, source.directory)
        others = () if profile else stand_ins()
        setting = Setting(platform, profile, names, payload, read_engines(), inventory, crd, policy, others)
        return compile_app(Spec(source, layered, self.sources.spec_file(source)), setting, stop)

    def inputs(self, source: Source) -> list[bytes]:
        """Everything in the repository that this app is compiled from."""
        names = f"{self.sources.spec_file(source)}\0{source.file}".encode("utf-8", "surrogateescape")
        platforms = [self.platforms.sources[each].raw for each in self.platforms.chain(source.directory)]
        return [names, source.raw, self.profiles.digest.encode(), *platforms]


def open_repository(sources: Sources) -> Repository:
    """The repository that the files of a specs directory make."""
    apps = tuple(source for source in sources.files if not source.is_platform and not source.is_profile)
    platforms, profiles = read_platforms(sources.files), own_profiles(sources.files)
    return Repository(sources, apps, platforms, profiles, read_inventories(platforms, profiles))
