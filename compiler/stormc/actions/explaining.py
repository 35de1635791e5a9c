"""Explain: where the values of an app's manifests come from. The app is named, or found by a rendered file."""

from __future__ import annotations

from pathlib import Path

from stormc.actions.app_names import is_called, no_app, several_apps
from stormc.compile.compilation import Compilation, Stage
from stormc.compile.findings import refusals
from stormc.failure import Failure
from stormc.finding import dotted
from stormc.load.document import Document, load_document
from stormc.load.sources import Source, read_sources
from stormc.model.layers import Layer, Layered, merge_layers
from stormc.payload.read import read_payload
from stormc.phrase import phrase
from stormc.repository.profiles import BUILTIN
from stormc.repository.repository import Repository, open_repository
from stormc.review.explain import Explanation, Facts, explain
from stormc.tree.layout import Identity


def explain_app(specs: Path, app: str, rendered: Path = Path("rendered")) -> Explanation:
    """The explanation of an app, given by name, NAMESPACE/NAME or spec file; its rendered files are below `rendered`.

    Nothing is read there. Raises Failure for no such app, for a name of several, and for an app with errors.
    """
    repository = open_repository(read_sources(specs))
    source = _source(repository, app)
    return _explained(repository, source, rendered)


def explain_object(specs: Path, of: Identity, rendered: Path = Path("rendered")) -> Explanation:
    """The explanation of the app whose object a rendered file holds. Raises Failure where its spec does not exist."""
    repository = open_repository(read_sources(specs))
    for source in repository.apps:
        if repository.sources.spec_file(source) == of.spec_file and _is_part(repository, source, of):
            return _explained(repository, source, rendered)
    raise Failure(
        phrase("{spec_file}, from which the file was rendered, is not among the specs", spec_file=of.spec_file)
    )


def fields_at(specs: Path, spec: Path, line: int) -> list[str]:
    """The fields on a line of an app's spec, as people write them; empty for any other file."""
    for source in read_sources(specs).files:
        if Path(source.file) == spec and not source.is_platform and not source.is_profile:
            document, _ = load_document(source.file, source.raw)
            marks = document.keys.items() if document else ()
            fields = [path for path, mark in marks if mark.line == line]
            return [dotted(path) for path in fields if not any(path[: len(f)] == f != path for f in fields)]
    return []


def is_spec(specs: Path, file: Path) -> bool:
    """Whether a file is one of the specs directory."""
    return any(Path(source.file) == file for source in read_sources(specs).files)


def _is_part(repository: Repository, source: Source, rendered: Identity) -> bool:
    name = _names(repository, source)[0]
    return rendered.name == name or rendered.name.startswith(f"{name}-")


def _names(repository: Repository, source: Source) -> tuple[str, str]:
    layered, _ = repository.layered(source)
    fields = layered.data if layered else {}
    space = fields.get("namespace") or repository.platforms.platform(source.directory).namespace
    return str(fields.get("name", "")), f"{space}/{fields.get('name', '')}"


def _source(repository: Repository, app: str) -> Source:
    by_file = [source for source in repository.apps if app in (source.file, repository.sources.spec_file(source))]
    if by_file:
        return by_file[0]
    text = app.rpartition("/")[2].encode("utf-8", "surrogatepass")
    near = [source for source in repository.apps if text in source.raw or text in source.path.encode()]
    named = [source for source in near if is_called(app, _names(repository, source)[1], source.file)]
    if not named:
        raise no_app(app, [(_names(repository, source)[1], source.file) for source in repository.apps])
    if len(named) > 1:
        raise several_apps(app, [source.file for source in named])
    return named[0]


def _explained(repository: Repository, source: Source, rendered: Path) -> Explanation:
    compilation = repository.compile(source, read_payload(), Stage.MANIFESTS)
    is_complete = (
        compilation.compiled is not None and compilation.layered is not None and compilation.summary is not None
    )
    if not is_complete or _misshapen(compilation):
        raise Failure(
            phrase("{file} has errors, so there is nothing to explain; run: stormc validate", file=source.file)
        )
    return explain(compilation, Facts(_hardware(repository, compilation), _platform(repository, source)), str(rendered))


def _misshapen(compilation: Compilation) -> bool:
    """Whether an override gives a manifest a shape that no API server takes: nothing can be explained in it."""
    assert compilation.compiled is not None and compilation.layered is not None
    app = compilation.compiled.app
    return bool(app.overrides) and any(refusals(compilation.compiled.manifests, compilation.layered, app, schemas=True))


def _hardware(repository: Repository, compilation: Compilation) -> Document | None:
    assert compilation.compiled is not None
    name = compilation.compiled.app.profile.name
    for source in repository.sources.files:
        if source.is_profile and Path(source.path).stem == name:
            return load_document(source.file, source.raw)[0]
    file = BUILTIN / f"{name}.yaml"
    return load_document(f"stormc/facts/hardware/{name}.yaml", file.read_bytes())[0] if file.is_file() else None


def _platform(repository: Repository, source: Source) -> Layered | None:
    documents = repository.platforms.documents
    chain = [documents[each] for each in repository.platforms.chain(source.directory) if each in documents]
    return merge_layers([Layer(document) for document in chain]) if chain else None
