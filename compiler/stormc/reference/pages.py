"""What every id means: the text of `stormc rule`, the table of all, and docs/rules.md."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator

from stormc.finding import severity_of
from stormc.languages import ENGLISH, read_language
from stormc.reference.ids import explanation_of, ids, rule_or_check
from stormc.rules.rule import Example, Rule, Subject

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
_PAGE = "# Rules"
"""Under this name another language has the head of the page."""
_HEADINGS = ("Not this, found at {place}", "Use instead", "This is fine")
_LOOKS, _SOURCE = "Looks at {subject}.", "Source: {source}."
IN_ROLE = "overrides[0].patch.spec.template.spec.roles[0]."


def table(language: str = ENGLISH) -> Iterator[str]:
    """A line per id: id, severity, title."""
    for id_ in ids():
        yield f"{id_}  {severity_of(id_):8} {explanation_of(id_, language).title}"


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


def explanation(id_: str, language: str = ENGLISH) -> Iterator[str]:
    """Title, severity, reason, examples and source of one id. Raises KeyError for an unknown id."""
    rule, text = rule_or_check(id_), explanation_of(id_, language)
    yield f"{id_} ({severity_of(id_)}): {text.title}"
    yield ""
    yield from wrapped(text.why)
    if not isinstance(rule, Rule):
        return
    for head, examples in _groups(rule):
        for example in examples:
            yield ""
            yield f"{_heading(head, language).format(place=place(example))}:"
            yield ""
            yield from textwrap.indent(_shown(example), "    ").splitlines()
    yield ""
    yield from _origin(rule, language)


def document(language: str = ENGLISH) -> str:
    """The text of docs/rules.md, or of its counterpart in another language."""
    head = read_language(language).headings.get(_PAGE, _HEAD)
    lines = [head, f"| {_heading('Id | Severity | Title', language)} |", "|---|---|---|"]
    titles = {id_: explanation_of(id_, language) for id_ in ids()}
    lines += [f"| [{id_}](#{id_.lower()}) | {severity_of(id_)} | {text.title} |" for id_, text in titles.items()]
    for id_, text in titles.items():
        rule = rule_or_check(id_)
        lines += ["", f"## {id_}", "", f"**{text.title}** {text.why}"]
        if isinstance(rule, Rule):
            for head, examples in _groups(rule):
                for example in examples:
                    words = _heading(head, language).format(place=f"`{place(example)}`")
                    lines += ["", f"{words}:", "", "```yaml", _shown(example).rstrip(), "```"]
            lines += ["", " ".join(_origin(rule, language))]
    return "\n".join(lines) + "\n"


def wrapped(text: str, width: int = 100) -> Iterator[str]:
    """The text in lines of a width; a Chinese character takes two columns, and a line may end after any."""
    line, columns = "", 0
    for word in re.findall(r"[\u3000-\u9fff\uff00-\uffef]|[^\s\u3000-\u9fff\uff00-\uffef]+|\s+", text):
        size = 2 * len(word) if "\u3000" <= word[0] <= "\uffef" else len(word)
        if columns + size > width and word[0] not in "，。；：、）”！？":
            yield line.rstrip()
            line, columns = "", 0
        if line or not word.isspace():
            line, columns = line + word, columns + size
    yield line


def headings() -> set[str]:
    """Everything on a page that is not of a rule, as another language has to have it."""
    subjects = {subject.value for subject in Subject}
    return {_PAGE, "Id | Severity | Title", *_HEADINGS, *subjects, _LOOKS, _SOURCE}


def _heading(english: str, language: str) -> str:
    return read_language(language).headings.get(english, english)


def _origin(rule: Rule, language: str) -> Iterator[str]:
    yield _heading(_LOOKS, language).format(subject=_heading(rule.subject.value, language))
    yield _heading(_SOURCE, language).format(source=rule.source)


def _groups(rule: Rule) -> tuple[tuple[str, tuple[Example, ...]], ...]:
    """The examples that tell most, under their headings; the file of the rule has all."""
    good = () if rule.instead else rule.good[:1]
    return tuple(zip(_HEADINGS, (rule.bad[:2], rule.instead, good), strict=True))


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
