"""The rule reference for people: one rule in the terminal, a table of all, and docs/rules.md.

`python -m stormc.rules.reference` writes docs/rules.md anew; a test fails when it is stale.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from stormc.finding import severity_of
from stormc.rules import RULES
from stormc.rules.checks import CHECKS, Explained
from stormc.rules.rule import Example, Rule, Sees

DOCUMENT = Path("docs/rules.md")

_SEES = {
    Sees.APP: "the spec",
    Sees.MANIFESTS: "the finished manifests, wherever a value came from",
    Sees.REPOSITORY: "all apps of the repository",
}
_HEAD = """\
# Rules

Written by `make golden` from the rules themselves; every example below is a test. Examples are fields laid over a valid
app. Errors stop a render and cannot be suppressed; a warning can, on its line or the one above, with
`# stormc: ignore[W020] reason`. `stormc rule ID` prints one entry, `stormc rules` the table.
docs/rules-coverage.md maps the facts behind the rules to their ids.
"""


def ids() -> list[str]:
    """Every id that stormc can print, by number."""
    return sorted([*CHECKS, *(rule.id for rule in RULES)], key=lambda id_: (id_[1:], id_[0]))


def explained(id_: str) -> Explained:
    """Title and reason of one id. Raises KeyError for one that is none."""
    rule = _rule(id_)
    return Explained(rule.title, rule.why) if rule else CHECKS[id_]


def table() -> Iterator[str]:
    """A line per id: id, severity, title."""
    for id_ in ids():
        yield f"{id_}  {severity_of(id_):8} {explained(id_).title}"


def explanation(id_: str) -> Iterator[str]:
    """Title, severity, reason, examples and source of one id. Raises KeyError for one that is none."""
    rule, (title, why) = _rule(id_), explained(id_)
    yield f"{id_} ({severity_of(id_)}): {title}"
    yield ""
    yield why
    if rule is None:
        return
    yield ""
    yield f"looks at  {_SEES[rule.sees]}"
    for word, examples in (("bad", rule.bad), ("good", rule.good)):
        for example in examples:
            yield f"{word:8}  {_shown(example)}"
    yield f"source    {rule.source}"


def document() -> str:
    """The text of docs/rules.md."""
    lines = [_HEAD, "| Id | Severity | Title |", "|---|---|---|"]
    lines += [f"| [{id_}](#{id_.lower()}) | {severity_of(id_)} | {explained(id_).title} |" for id_ in ids()]
    for id_ in ids():
        rule, (title, why) = _rule(id_), explained(id_)
        lines += ["", f"## {id_}", "", f"**{title}** {why}"]
        if rule:
            lines += ["", "```yaml"]
            lines += [f"# {_place(e)}\n{_shown(e)}" for e in rule.bad]
            lines += [f"# good\n{_shown(e)}" for e in rule.good]
            lines += ["```", "", f"Looks at {_SEES[rule.sees]}. Source: {rule.source}."]
    return "\n".join(lines) + "\n"


def _rule(id_: str) -> Rule | None:
    return next((rule for rule in RULES if rule.id == id_), None)


def _place(example: Example) -> str:
    return f"bad, found at {example.at}"


def _shown(example: Example) -> str:
    parts = [example.spec or "{}"]
    if example.platform:
        parts.append(f"with platform {example.platform}")
    if example.beside:
        parts.append(f"beside {' and '.join(example.beside)}")
    return "  # ".join(parts)


if __name__ == "__main__":
    DOCUMENT.write_text(document(), encoding="utf-8")
