"""Import: what runs today becomes specs, with a list of what still differs."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from stormc.compile.compilation import Compilation
from stormc.failure import Failure
from stormc.finding import START, Finding, did_you_mean, has_errors
from stormc.load.checks import REPEATED_KEY
from stormc.load.document import Document, load_documents
from stormc.load.sources import Source, Sources, read_sources
from stormc.migrate.difference import Difference
from stormc.migrate.fitting import Fitting, Place
from stormc.migrate.note import FOREIGN, REPEATED, Note
from stormc.migrate.proposal import Chosen, propose
from stormc.migrate.reading import Original, formats, newer_style, read_originals
from stormc.payload.objects import shared_objects
from stormc.payload.read import read_payload
from stormc.phrase import NONE, Phrase, phrase
from stormc.record import NamedTuple, Record, replace
from stormc.repository.profiles import builtin_names
from stormc.repository.repository import Repository, open_repository

SCRIPTS = (".sh", ".bash")


class Imported(Record):
    """One app: its name, the text of its spec (None where there can be none), findings, and what will differ.

    `manifests` are what the spec renders to, what apps of a namespace share first; empty where it has errors.
    """

    name: str
    text: str | None
    findings: tuple[Finding, ...]
    differences: tuple[Difference, ...]
    manifests: tuple[Mapping[str, Any], ...] = ()


class Target(NamedTuple):
    """Where the specs are to stand: the repository around them, and the directory below it."""

    repository: Repository
    directory: str
    shown: Path


def target(specs: Path, out: Path | None) -> Target:
    """Where new specs are to stand: in `out`, or at the top of the specs. Raises Failure for an `out` elsewhere."""
    known = read_sources(specs) if specs.is_dir() else Sources(specs.name, (), ())
    if out is None:
        return Target(open_repository(known), "", specs)
    below, top = (Path(os.path.realpath(each)) for each in (out, specs))  # unlike resolve(), it takes links in a circle
    if not below.is_relative_to(top):
        raise Failure(
            phrase("{out} is not below {specs}; --specs names another directory of specs", out=out, specs=specs)
        )
    directory = below.relative_to(top).as_posix()
    return Target(open_repository(known), "" if directory == "." else directory, out)


def import_file(
    specs: Path,
    file: str,
    raw: bytes,
    *,
    out: Path | None = None,
    hardware: str | None = None,
    model_path: str | None = None,
    owner: str = "imported",
) -> list[Imported]:
    """The apps that a file describes: StormServices, or a config of the k8s-deploy-tool. Nothing is written.

    - `file`: the name for findings; `raw`: its bytes.
    - `out`: the directory below `specs` where the new specs are to stand: its platform files hold for them.
    - `hardware`, `model_path`: the profile, and the directory of the weights, where the file does not tell them.
    - `owner`: the owner of overrides, which say what no field can.

    A file without an app gives one `Imported` without a name, whose findings say why. Raises Failure for a profile
    that does not exist, and for an `out` that is not below `specs`.
    """
    return import_into(file, raw, target(specs, out), Chosen(hardware, model_path), owner)


def import_into(file: str, raw: bytes, where: Target, chosen: Chosen, owner: str) -> list[Imported]:
    """As `import_file`, for many files: the repository around the new specs is read once."""
    if raw.startswith(b"#!") or file.endswith(SCRIPTS):
        return [_foreign(file, "a shell script", phrase("write its flags to engineArgs, its exports to env"))]
    documents, findings = load_documents(file, raw)
    repeated = [
        f._replace(rule=REPEATED, hint=phrase("the last one counts")) for f in findings if f.rule == REPEATED_KEY
    ]
    if len(repeated) < len(findings):
        return [Imported("", None, tuple(f for f in findings if f.rule != REPEATED_KEY), ())]
    originals, others = read_originals(file, documents)
    if not originals:
        named = next((name for document in documents for name in formats(document.data)), None)
        if named:
            return [_foreign(file, named, phrase("write a spec: stormc init NAME --hardware PROFILE"))]
        text = phrase("the file holds no StormService and no config of the k8s-deploy-tool")
        return [Imported("", None, (Finding(FOREIGN, file, START, text, NONE), *repeated, *others), ())]
    imported = [_import(file, original, where, chosen, owner) for original in originals]
    first, *rest = imported
    return [replace(first, findings=(*repeated, *others, *first.findings)), *rest]


def _foreign(file: str, named: str, hint: Phrase) -> Imported:
    """What becomes of a file of another format: nothing, and a finding that names the format."""
    text = phrase("this is {named}, which stormc does not import", named=named)
    return Imported("", None, (Finding(FOREIGN, file, START, text, hint),), ())


def _import(file: str, original: Original, where: Target, chosen: Chosen, owner: str) -> Imported:
    metadata = original.storm.get("metadata")
    name = str(metadata.get("name") or "") if isinstance(metadata, dict) else ""
    notes = list(original.notes)
    proposal = None
    if not any(note.rule[0] == "E" for note in notes):
        proposal = propose(original.storm, _profiles(where.repository, chosen), chosen)
        notes += proposal.notes
        if proposal.spec and where.repository.platforms.platform(where.directory).labels_nodes:
            notes += newer_style(original.storm)
    if proposal is None or proposal.spec is None:
        return Imported(name, None, _findings(file, original, notes), ())
    fitting = Fitting(file, original, proposal, _place(file, where), owner)
    differences = fitting.run()
    findings = [*_findings(file, original, [*notes, *fitting.notes]), *fitting.findings]
    manifests = tuple(_manifests(fitting.compilation()))
    return Imported(name, fitting.text(), tuple(findings), tuple(differences), manifests)


def _place(file: str, where: Target) -> Place:
    payload = read_payload()

    def compile_text(name: str, text: str) -> Compilation:
        path = f"{where.directory}/{name}.yaml".lstrip("/")
        return where.repository.compile(Source(path, str(where.shown / f"{name}.yaml"), text.encode()), payload)

    return Place(compile_text, where.repository.platforms.layered(where.directory, Document(file, {})).data)


def _manifests(compilation: Compilation) -> Iterator[Mapping[str, Any]]:
    """Everything that the app needs in its namespace, what apps share first; nothing for a spec with errors."""
    if compilation.app is not None and compilation.compiled is not None:
        yield from shared_objects(read_payload(), compilation.app.namespace, compilation.app.shared)
        yield from compilation.compiled.manifests


def _findings(file: str, original: Original, notes: Sequence[Note]) -> tuple[Finding, ...]:
    return tuple(
        Finding(n.rule, file, n.mark or original.locate(n.path, n.at_key), n.message, n.hint, n.path) for n in notes
    )


def _profiles(repository: Repository, chosen: Chosen) -> dict[str, Any]:
    known = {name: repository.profiles.get(name) for name in (*builtin_names(), *repository.profiles.own)}
    if chosen.hardware and known.get(chosen.hardware) is None:
        hint = did_you_mean(chosen.hardware, known) or "see: stormc profiles"
        raise Failure(phrase("no profile {hardware}; {hint}", hardware=chosen.hardware, hint=hint))
    return {name: profile for name, profile in known.items() if profile is not None}


def broken(imported: Imported) -> bool:
    """Whether the app has no spec that can be rendered."""
    return imported.text is None or has_errors(imported.findings)
