"""Platform files: what a directory and those below it have in common."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from stormc import __version__
from stormc.finding import START, Finding
from stormc.load.document import Document, load_document
from stormc.load.sources import Source
from stormc.model.checks import WRONG_FORM
from stormc.model.layers import Layer, Layered, merge_layers
from stormc.model.profile import Platform, build_platform
from stormc.phrase import phrase
from stormc.record import Record, replace
from stormc.repository.checks import DEFINED_TWICE, OTHER_VERSION
from stormc.repository.policies import platform_findings


class Platforms(Record):
    """The platform files of a repository by directory; `sources` holds every one, `documents` those without errors."""

    sources: Mapping[str, Source]
    documents: Mapping[str, Document]
    findings: tuple[Finding, ...]

    def chain(self, directory: str) -> list[str]:
        """The directories with a platform file from the top down to `directory`."""
        return [each for each in above(directory) if each in self.sources]

    def is_broken(self, directory: str) -> bool:
        """Whether a platform file of the directory, or of one above it, has errors."""
        return any(each not in self.documents for each in self.chain(directory))

    def platform(self, directory: str) -> Platform:
        """The platform of a directory: the files above it merged, the nearest winning key by key."""
        layers = [Layer(self.documents[each]) for each in self.chain(directory) if each in self.documents]
        return build_platform(merge_layers(layers).data) if layers else Platform()

    def cluster_of(self, app_directory: str) -> str:
        """The cluster on which the app runs that renders into a directory; "" where nothing names it."""
        return self.platform(app_directory.rpartition("/")[0]).cluster

    def layered(self, directory: str, document: Document) -> Layered:
        """An app's document over the defaults of the platform files above it."""
        documents = [self.documents[each] for each in self.chain(directory) if each in self.documents]
        defaults = [layer for each in documents if (layer := Layer(each, ("defaults",))).data]
        return merge_layers([*defaults, Layer(document)])


def read_platforms(files: Iterable[Source]) -> Platforms:
    """The platforms among the files of a specs directory."""
    sources: dict[str, Source] = {}
    documents: dict[str, Document] = {}
    findings: list[Finding] = []
    for source in files:
        if not source.is_platform or source.is_profile:
            continue
        document, problems = _load(source)
        if source.directory in sources:
            message = phrase(
                "{file} is the platform file of this directory already", file=sources[source.directory].file
            )
            findings.append(Finding(DEFINED_TWICE, source.file, START, message, phrase("keep one of the two")))
        sources[source.directory] = source
        if document is not None:
            documents[source.directory] = document
        findings += problems
    platforms = Platforms(sources, documents, tuple(findings))
    return replace(platforms, findings=(*findings, *platform_findings(platforms)))


def _load(source: Source) -> tuple[Document | None, list[Finding]]:
    from stormc.model.check import check_platform

    document, findings = load_document(source.file, source.raw)
    if document is None:
        return None, findings
    _, findings = check_platform(Layered((Layer(document),), document.data))
    findings += _pinned(document)
    return (None if findings else document), findings


def _pinned(document: Document) -> Iterator[Finding]:
    """E307 where the file asks for another version of stormc than this one, E206 where that is no range of versions."""
    version_range = document.data.get("stormc")
    if not isinstance(version_range, str):
        return
    from packaging.specifiers import InvalidSpecifier, SpecifierSet

    mark = document.locate(("stormc",))
    try:
        if SpecifierSet(version_range).contains(__version__, prereleases=True):
            return
    except InvalidSpecifier:
        hint = phrase('write comparisons with commas between them: ">=0.2,<0.3"')
        yield Finding(
            WRONG_FORM,
            document.file,
            mark,
            phrase("stormc {wanted!r} is no range of versions", wanted=version_range),
            hint,
            ("stormc",),
        )
        return
    message = phrase(
        "this is stormc {version}, and the apps here are rendered by {wanted}",
        version=__version__,
        wanted=version_range,
    )
    yield Finding(
        OTHER_VERSION,
        document.file,
        mark,
        message,
        phrase('pip install "stormc{wanted}", or change the line', wanted=version_range),
        ("stormc",),
    )


def above(directory: str) -> list[str]:
    """The directory and those it lies in, from the top of the specs directory, which is empty, down."""
    steps = directory.split("/") if directory else []
    return ["", *("/".join(steps[: n + 1]) for n in range(len(steps)))]
