"""Who an app is, found out without compiling it, and apps that take each other's name or directory."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from stormc.finding import Finding
from stormc.load.sources import Source
from stormc.model.summary import Summary
from stormc.phrase import phrase
from stormc.repository.checks import NAMESAKE, SAME_DIRECTORY
from stormc.repository.repository import Repository
from stormc.tree.shared import DIRECTORY as SHARED


def identity(repository: Repository, source: Source) -> Summary | None:
    """Who an app is, without checking it: enough to see whether another one has the same name."""
    layered, _ = repository.layered(source)
    if layered is None:
        return None
    name, namespace = layered.data.get("name"), layered.data.get("namespace")
    if not isinstance(name, str):
        return None
    space = namespace if isinstance(namespace, str) else repository.platforms.platform(source.directory).namespace
    file, mark = layered.locate(("name",))
    return Summary(space, name, source.directory_of(name), "", 0, 0, file, mark)


def namesakes(
    repository: Repository, summaries: Sequence[Summary], selected: Sequence[Source]
) -> Iterator[Summary]:  # fmt: skip
    """The identities of unselected apps that may collide with one of the summaries.

    Reads no more YAML than it must: an app of the same name has that name in its text.
    """
    names = sorted({summary.name for summary in summaries}, key=len)
    if not names:
        return
    any_name = b"|".join(re.escape(name.encode()) for name in names)
    pattern = re.compile(b"name[\"']?\\s*:\\s*[\"']?(?:" + any_name + b")\\b")
    chosen = {source.path for source in selected}
    for source in repository.apps:
        if source.path not in chosen and pattern.search(source.raw):
            summary = identity(repository, source)
            if summary is not None:
                yield summary


def check_namesakes(summaries: Sequence[Summary]) -> list[Finding]:
    """Two apps that are the same StormService, or that render into the same directory."""
    findings = []
    services: dict[tuple[str, str], Summary] = {}
    directories: dict[str, Summary] = {}
    for summary in sorted(summaries, key=lambda s: (s.file, s.mark)):
        if SHARED in summary.directory.split("/"):
            from stormc.gitops.wiring import RESERVED_DIRECTORY

            message = phrase(
                "renders into {directory}/, but {shared} is where apps have what they share",
                directory=summary.directory,
                shared=SHARED,
            )
            findings.append(
                Finding(RESERVED_DIRECTORY, summary.file, summary.mark, message, phrase("choose another directory"))
            )
        first = services.setdefault((summary.namespace, summary.name), summary)
        if first is not summary:
            message = phrase(
                "app {namespace}/{summary} is also defined in {file}:{line}",
                namespace=summary.namespace,
                summary=summary.name,
                file=first.file,
                line=first.mark.line,
            )
            hint = phrase("a StormService has one owner: rename one of the two or change its namespace")
            findings.append(Finding(NAMESAKE, summary.file, summary.mark, message, hint, ("name",)))
            continue
        first = directories.setdefault(summary.directory, summary)
        if first is not summary:
            message = phrase("renders into {directory}/, as {file} does", directory=summary.directory, file=first.file)
            hint = phrase("rename one of the two or move it to another directory")
            findings.append(Finding(SAME_DIRECTORY, summary.file, summary.mark, message, hint, ("name",)))
    return findings
