"""An example as the real way of the data judges it: the base app with its fields, further apps, a platform file."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from unittest import mock

import yaml

from stormc import rules
from stormc.compile import findings as compile_findings
from stormc.finding import Finding, in_order
from stormc.reference.pages import fields
from stormc.repository.findings import check_repository
from stormc.repository.namesakes import check_namesakes
from stormc.rules.rule import Example, Rule, Subject
from tests.samples import compile_in, repository, spec_text

TODAY = "2026-01-01"

IN_ROLE = "overrides[0].patch.spec.template.spec.roles[0].template"
"""Where `in_role` puts a template."""


def patched(patch: str) -> str:
    """The fields of an app that overrides its StormService, in flow style."""
    return f"overrides: [{{target: StormService, reason: r, owner: o, patch: {patch}}}]"


def both(one: str, other: str) -> str:
    """The fields of two in one."""
    return f"{{{one}, {other}}}"


def in_role(role: str, template: str) -> str:
    """The fields of an app that overrides a role's pod template, in flow style."""
    return patched(f"{{spec: {{template: {{spec: {{roles: [{{name: {role}, template: {template}}}]}}}}}}}}")


def judge(spec: str, platform: str = "", beside: tuple[str, ...] = ()) -> list[Finding]:
    """The findings on the app with these fields, those of the repository rules included."""
    files = {f"a{number}.yaml": spec_text(text) for number, text in enumerate(beside)}
    files["app.yaml"] = spec_text(spec)
    if platform:
        head = {"apiVersion": "stormc.dev/v1", "kind": "Platform"}
        files["platform.yaml"] = yaml.safe_dump({**head, **yaml.safe_load(platform)})
    opened = repository(files)
    outcomes = [compile_in(opened, source) for source in opened.apps]
    summaries = [outcome.summary for outcome in outcomes if outcome.summary]
    findings = [f for outcome in outcomes for f in outcome.findings]
    findings += [*check_namesakes(summaries), *check_repository(opened, summaries, TODAY)]
    return [f for f in in_order(findings) if f.file == "specs/app.yaml"]


def judge_example(example: Example) -> list[Finding]:
    """The findings on an example's own app."""
    return judge(fields(example), example.platform, example.beside)


@contextmanager
def changed_rules(change: Callable[[tuple[Rule, ...]], tuple[Rule, ...]]) -> Iterator[None]:
    """Every room applies what the change makes of the rules."""
    original = rules.rules_for

    def rules_for(subject: Subject, overridden: bool = False) -> tuple[Rule, ...]:
        return change(original(subject, overridden))

    with ExitStack() as stack:
        for room in (rules, compile_findings):
            stack.enter_context(mock.patch.object(room, "rules_for", rules_for))
        yield


def without(rule: Rule) -> partial[tuple[Rule, ...]]:
    """A change that takes a rule out."""
    return partial(_without, rule.id)


def _without(id_: str, applied: tuple[Rule, ...]) -> tuple[Rule, ...]:
    return tuple(rule for rule in applied if rule.id != id_)
