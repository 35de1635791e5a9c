"""The findings of a run: of each app, of rules about several apps, without those that comments in specs suppress."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence

from stormc import rules
from stormc.finding import Finding, Severity, in_order
from stormc.load.sources import Source
from stormc.model.summary import Summary
from stormc.repository.checks import OTHER_VERSION
from stormc.repository.namesakes import check_namesakes, namesakes
from stormc.repository.policies import policy_findings
from stormc.repository.repository import Repository
from stormc.rules.repository import Repository as Apps
from stormc.rules.rule import Subject, finding_of
from stormc.text.suppress import commented, suppressed


def collect_findings(
    repository: Repository, chosen: Sequence[Source], summaries: Sequence[Summary], findings: Iterable[Finding],
    today: str, *, partly: bool,
) -> list[Finding]:  # fmt: skip
    """All findings of a run over the chosen apps, in order.

    `findings` are those of single apps; added are those on the apps together and on the files that they share.
    `partly` says that the repository has other apps; those that may have the name of a chosen one are read too.
    """
    others = list(namesakes(repository, summaries, chosen)) if partly else []
    everything = [
        *_on_shared_files(repository, chosen, partly=partly),
        *findings,
        *check_namesakes([*summaries, *others]),
    ]
    everything += check_repository(repository, [*summaries, *others], today)
    everything += policy_findings(repository, sorted(summaries, key=lambda each: (each.file, each.mark)), today)
    return in_order(_unsuppressed(repository, chosen, everything, partly=partly))


def _on_shared_files(repository: Repository, chosen: Sequence[Source], *, partly: bool) -> Iterator[Finding]:
    """The findings on platform files and profiles; a partial run leaves out version pins of other directories."""
    above = {directory for source in chosen for directory in repository.platforms.chain(source.directory)}
    files = {repository.platforms.sources[directory].file for directory in above}
    for finding in repository.findings:
        if finding.rule != OTHER_VERSION or finding.file in files or not partly:
            yield finding


def check_repository(repository: Repository, summaries: Iterable[Summary], today: str) -> Iterator[Finding]:
    """The findings of every rule about several apps, or about the date, on all apps that the run knows."""
    apps = sorted(summaries, key=lambda summary: (summary.file, summary.mark))
    shown = Apps(apps, repository.inventories, today)
    sources = {source.file: source for source in repository.apps}
    for rule in rules.rules_for(Subject.REPOSITORY):
        for violation in rule.check(shown):
            layered, _ = repository.layered(sources[apps[violation.app].file])
            if layered is not None:
                yield finding_of(rule.id, violation, layered)


def _unsuppressed(
    repository: Repository, chosen: Collection[Source], findings: list[Finding], *, partly: bool
) -> list[Finding]:  # fmt: skip
    """The findings without those that comments suppress, and with findings on comments that suppress nothing.

    A comment may be unused because an error kept the rules from running: that is not reported. Of the other apps of a
    partial run, only comments in files with a finding count.
    """
    files = repository.sources.files
    about = {source.file for source in chosen} | {finding.file for finding in findings}
    comments = commented(f for f in files if not partly or f.file in about or f.is_platform or f.is_profile)
    if not comments:
        return findings
    wrong = {finding.file for finding in findings if finding.severity == Severity.ERROR}
    platforms = [] if partly or wrong else [file.file for file in files if file.is_platform]
    complete = {source.file for source in chosen if source.file not in wrong}.union(platforms)
    return suppressed(findings, comments, complete, {rule.id for rule in rules.all_rules()})
