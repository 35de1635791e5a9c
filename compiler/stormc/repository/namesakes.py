"""An app's name, namespace and directory without compiling it, and apps that collide in one of them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from stormc.facts.kinds import IN_CLUSTER
from stormc.finding import Finding
from stormc.load.sources import Source
from stormc.model.summary import Summary
from stormc.phrase import phrase
from stormc.repository.checks import NAMESAKE, SAME_DIRECTORY
from stormc.repository.repository import Repository
from stormc.tree.shared import DIRECTORY as SHARED


def identify_app(repository: Repository, source: Source) -> Summary | None:
    """Name, namespace, directory and cluster of an app, unchecked; None for a file without a name."""
    layered, _ = repository.layered(source)
    if layered is None:
        return None
    name, namespace = layered.data.get("name"), layered.data.get("namespace")
    if not isinstance(name, str):
        return None
    platform = repository.platforms.platform(source.directory)
    space = namespace if isinstance(namespace, str) else platform.namespace
    file, mark = layered.locate(("name",))
    return Summary(space, name, source.directory_of(name), "", 0, 0, file, mark, platform.cluster)


def namesakes(
    repository: Repository, summaries: Sequence[Summary], selected: Sequence[Source]
) -> Iterator[Summary]:  # fmt: skip
    """The unselected apps that may collide with one of the summaries.

    Parses only files whose text holds one of the names.
    """
    names = sorted({summary.name for summary in summaries}, key=len)
    if not names:
        return
    any_name = b"|".join(re.escape(name.encode()) for name in names)
    pattern = b"name[\"']?\\s*:\\s*[\"']?(?:" + any_name + b")\\b"
    only = names[0].encode() if len(names) == 1 else b""  # found sooner than a pattern
    chosen = {source.path for source in selected}
    for source in repository.apps:
        if only in source.raw and source.path not in chosen and re.search(pattern, source.raw):
            summary = identify_app(repository, source)
            if summary is not None:
                yield summary


def check_namesakes(summaries: Sequence[Summary]) -> list[Finding]:
    """Two apps that are the same StormService, or that render into the same directory."""
    findings = []
    services: dict[tuple[str, str], list[Summary]] = {}
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
        earlier = services.setdefault((summary.namespace, summary.name), [])
        owner = next((other for other in earlier if _may_share_a_cluster(other, summary)), None)
        earlier.append(summary)
        if owner is not None:
            findings.append(_namesake(owner, summary))
            continue
        first = directories.setdefault(summary.directory, summary)
        if first is not summary:
            message = phrase("renders into {directory}/, as {file} does", directory=summary.directory, file=first.file)
            hint = phrase("rename one of the two or move it to another directory")
            findings.append(Finding(SAME_DIRECTORY, summary.file, summary.mark, message, hint, ("name",)))
    return findings


def _may_share_a_cluster(one: Summary, other: Summary) -> bool:
    """Whether two apps may run on one cluster: they do where it is the same, and may where one of them is unknown."""
    return one.cluster == other.cluster or not (one.cluster and other.cluster)


def _namesake(owner: Summary, summary: Summary) -> Finding:
    message = phrase(
        "app {namespace}/{summary} is also defined in {file}:{line}",
        namespace=summary.namespace, summary=summary.name, file=owner.file, line=owner.mark.line,
    )  # fmt: skip
    hint = phrase("a StormService has one owner: rename one of the two or change its namespace")
    if not summary.cluster or owner.cluster != summary.cluster or summary.cluster == IN_CLUSTER:
        hint = phrase(
            "a StormService has one owner: rename one of the two or change its namespace; if they run on different "
            "clusters, name these: cluster: in the platform file of each"
        )
    return Finding(NAMESAKE, summary.file, summary.mark, message, hint, ("name",))
