"""The findings of rules, policies and API schemas on one app, each at the line of the spec that causes it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from stormc.emit.checks import REFUSED, REFUSED_BY_CRD
from stormc.finding import Finding, Severity
from stormc.model.app import App
from stormc.model.layers import Layered
from stormc.phrase import Phrase, phrase
from stormc.policy.breach import Case
from stormc.policy.check import breaches
from stormc.policy.concerns import PLAIN_SECRET
from stormc.rules import rules_for
from stormc.rules.rule import Subject, Violation, finding_of, of_both_roles
from stormc.rules.storm_service import patched_near

if TYPE_CHECKING:
    from stormc.emit.crd import Crd
    from stormc.emit.size import SchemaProblem

Manifest = Mapping[str, Any]


def apply_rules(subject: Subject, layered: Layered, app: App, *arguments: Any) -> Iterator[Finding]:
    """The findings of every rule of a subject; `arguments` are what the checks of that subject take (`Subject`)."""
    for rule in rules_for(subject, overridden=bool(app.overrides)):
        violations = list(rule.check(*arguments))
        if violations:  # nearly never
            for violation in of_both_roles(violations, layered):
                yield finding_of(rule.id, violation, layered)


def policy_breaches(case: Case, layered: Layered, spec: str) -> Iterator[Finding]:
    """What the policy forbids, and warnings for the reviewer; none of what the topmost platform file itself says.

    A secret in plain text is one wherever it stands.
    """
    by_rule: dict[str, list[Violation]] = {}
    for breach in breaches(case, spec):
        by_rule.setdefault(breach.rule, []).append(Violation(breach.path, breach.message, breach.hint))
    for rule, violations in by_rule.items():
        for violation in of_both_roles(violations, layered):
            finding = finding_of(rule, violation, layered)
            excused = finding.file == case.policy.top and not PLAIN_SECRET.warns_as(rule)
            if finding.severity == Severity.ERROR or not excused:
                yield finding


def refusals(manifests: Sequence[Manifest], layered: Layered, app: App, *, schemas: bool) -> Iterator[Finding]:
    """What the API server would refuse, at the field of the override that causes it.

    An app without overrides can only have too large a topology of the proxy; that is checked without `schemas` too.
    """
    if schemas:
        from stormc.emit.schema_check import check_manifest as check
    else:
        from stormc.emit.size import check_size as check

    hint = phrase("correct the override") if app.overrides else phrase("lower replicas or dataParallel")
    for manifest in manifests:
        for problem in check(manifest):
            yield _refusal(REFUSED, manifest, problem, layered, app, hint)


def crd_refusals(crd: Crd, manifests: Sequence[Manifest], layered: Layered, app: App) -> Iterator[Finding]:
    """What an API server with the user's own CRD would refuse or prune."""
    hint = phrase("the cluster has another AIBrix release?")
    for manifest in manifests:
        if manifest["kind"] == "StormService":
            for problem in crd.problems(manifest):
                yield _refusal(REFUSED_BY_CRD, manifest, problem, layered, app, hint)


def _refusal(
    rule: str, manifest: Manifest, problem: SchemaProblem, layered: Layered, app: App, hint: Phrase
) -> Finding:  # fmt: skip
    path = patched_near(app.overrides, manifest, problem.path) or ("overrides",)
    file, mark = layered.locate(path)
    where = f"{manifest.get('kind')} {(manifest.get('metadata') or {}).get('name')}"
    return Finding(rule, file, mark, phrase("{where}: {message}", where=where, message=problem.message), hint, path)
