"""Hardware profiles: those that come with stormc, and the user's own in specs/profiles."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path

from stormc.digest import digest
from stormc.finding import START, Finding
from stormc.load.document import load_document
from stormc.load.sources import PROFILES, Source
from stormc.model.layers import Layer, Layered
from stormc.model.profile import Profile, build_profile
from stormc.phrase import phrase
from stormc.record import Record
from stormc.repository.checks import DEFINED_TWICE

BUILTIN = Path(__file__).parent.parent / "facts" / "hardware"


class Profiles(Record):
    """The profiles that specs may name, and a digest of the files of the user's own.

    `broken` are the names of own ones with errors, which `findings` hold.
    """

    own: Mapping[str, Profile]
    digest: str
    broken: frozenset[str]
    findings: tuple[Finding, ...]

    def get(self, name: str) -> Profile | None:
        """The profile of a name, the user's own before one that comes with stormc."""
        return self.own.get(name) or builtin_profile(name)

    @property
    def words(self) -> dict[str, tuple[str, ...]]:
        """Every name that a spec may have in its hardware field, with the other words that the product is known by."""
        known = {name: self.get(name) for name in self.names}
        return {
            name: (profile.accelerator_type, profile.schedule_policy) if profile is not None else ()
            for name, profile in known.items()
        }

    @property
    def names(self) -> tuple[str, ...]:
        """Every name that a spec may have in its hardware field, broken profiles included."""
        return (*self.own, *builtin_names(), *self.broken)


def own_profiles(files: Iterable[Source]) -> Profiles:
    """The profiles among the files of a specs directory."""
    own: dict[str, Profile] = {}
    broken: set[str] = set()
    findings: list[Finding] = []
    sources = [source for source in files if source.is_profile]
    for source in sources:
        profile, problems = load_profile(source.file, source.raw)
        findings += problems
        if profile is None:
            broken.add(Path(source.path).stem)
            continue
        if profile.name in own or (BUILTIN / f"{profile.name}.yaml").exists():
            message = phrase("a profile named {profile} exists already", profile=profile.name)
            findings.append(Finding(DEFINED_TWICE, source.file, START, message, phrase("choose another name")))
        own[profile.name] = profile
    return Profiles(own, digest(*(source.raw for source in sources)), frozenset(broken), tuple(findings))


def profile_files(specs: Path) -> dict[str, Path]:
    """The profile files by name: those that come with stormc and those in specs/profiles."""
    files = {path.stem: path for path in sorted(BUILTIN.glob("*.yaml"))}
    own = specs / PROFILES
    for path in sorted(own.glob("*.y*ml")) if own.is_dir() else ():
        files[path.stem] = path
    return dict(sorted(files.items()))


def builtin_names() -> list[str]:
    """The names of the profiles that come with stormc."""
    return sorted(path.stem for path in BUILTIN.glob("*.yaml"))


def stand_ins() -> tuple[Profile, ...]:
    """Profiles of products that have nothing in common but that vllm-ascend runs on them."""
    found = map(builtin_profile, ("atlas-800i-a2", "atlas-900-a3-superpod"))
    return tuple(profile for profile in found if profile is not None)


@cache
def builtin_profile(name: str) -> Profile | None:
    """The profile that comes with stormc under a name; parsed once."""
    file = BUILTIN / f"{name}.yaml"
    is_known = "/" not in name and not name.startswith(".") and len(name) < 64 and "\0" not in name and file.is_file()
    return load_profile(str(file), file.read_bytes())[0] if is_known else None


def load_profile(file: str, raw: bytes) -> tuple[Profile | None, list[Finding]]:
    """A profile from the bytes of its file, or what is wrong with it."""
    from stormc.model.check import check_profile

    document, findings = load_document(file, raw)
    if document is None:
        return None, findings
    data, findings = check_profile(Layered((Layer(document),), document.data))
    return (build_profile(data) if data else None), findings
