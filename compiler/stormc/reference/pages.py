"""What every id means: the text of `stormc rule`, the table of all, and docs/rules.md."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator

from stormc.finding import severity_of
from stormc.reference.ids import explained, ids
from stormc.rules.rule import Example, Rule

_HEAD = """\
# Rules

Everything that `stormc` can report, by number. **E** is an error: nothing is rendered until it is corrected. **W** is a
warning, **I** a remark; either can be silenced on its line, or on the line above, with
`# stormc: ignore[W020] reason`. `stormc rule ID` prints one entry, `stormc rules` the table.

Every example is a test. It shows the fields that matter, laid over an app that is right otherwise.
[rules-coverage.md](rules-coverage.md) maps the facts behind the rules to their ids.
"""
_OVERRIDE = """\
overrides:
- target: StormService
  reason: a trial
  owner: team-a
  patch:
    spec:
      template:
        spec:
          roles:
          - name: {role}
            template:
{template}
"""
IN_ROLE = "overrides[0].patch.spec.template.spec.roles[0]."


def table() -> Iterator[str]:
    """A line per id: id, severity, title."""
    for id_ in ids():
        yield f"{id_}  {severity_of(id_):8} {explained(id_).title}"


def fields(example: Example) -> str:
    """The YAML of an example's own app, an override of a role written out."""
    parts = [_plain(example.spec)] if example.spec else []
    if example.template:
        template = textwrap.indent(_plain(example.template), " " * 14).rstrip()
        parts.append(_OVERRIDE.format(role=example.role, template=template))
    return "".join(parts)


def place(example: Example) -> str:
    """The dotted path of the finding that a bad example causes."""
    return IN_ROLE + example.at if example.template and example.at.startswith("template.") else example.at


def explanation(id_: str) -> Iterator[str]:
    """Title, severity, reason, examples and source of one id. Raises KeyError for one that is none."""
    rule = explained(id_)
    yield f"{id_} ({severity_of(id_)}): {rule.title}"
    yield ""
    yield from textwrap.wrap(rule.why, 100)
    if not isinstance(rule, Rule):
        return
    for head, examples in _groups(rule):
        for example in examples:
            yield ""
            yield f"{head.format(place=place(example))}:"
            yield ""
            yield from textwrap.indent(_shown(example), "    ").splitlines()
    yield ""
    yield f"Looks at {rule.subject.value}."
    yield f"Source: {rule.source}."


def document() -> str:
    """The text of docs/rules.md."""
    lines = [_HEAD, "| Id | Severity | Title |", "|---|---|---|"]
    lines += [f"| [{id_}](#{id_.lower()}) | {severity_of(id_)} | {explained(id_).title} |" for id_ in ids()]
    for id_ in ids():
        rule = explained(id_)
        lines += ["", f"## {id_}", "", f"**{rule.title}** {rule.why}"]
        if isinstance(rule, Rule):
            for head, examples in _groups(rule):
                for example in examples:
                    words = head.format(place=f"`{place(example)}`")
                    lines += ["", f"{words}:", "", "```yaml", _shown(example).rstrip(), "```"]
            lines += ["", f"Looks at {rule.subject.value}. Source: {rule.source}."]
    return "\n".join(lines) + "\n"


def _groups(rule: Rule) -> tuple[tuple[str, tuple[Example, ...]], ...]:
    """The examples that tell most, under their headings; the file of the rule has all."""
    good = () if rule.instead else rule.good[:1]
    return ("Not this, found at {place}", rule.bad[:2]), ("Use instead", rule.instead), ("This is fine", good)


def _plain(text: str) -> str:
    """Indented YAML of a rule's file from its first column."""
    return textwrap.dedent(text).strip() + "\n"


def _shown(example: Example) -> str:
    """Everything of an example, other files marked by a comment."""
    own = fields(example)
    text = own or ("" if example.platform else "# the app as it is\n")
    if example.platform:
        text += ("\n" if own else "") + "# platform.yaml\n" + _plain(example.platform)
    for beside in example.beside:
        text += ("\n" if text else "") + "# and in another file\n" + _plain(beside)
    return text
