"""What a rule is: an id, a page of text for users, a check, a source, and examples that prove the check."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from enum import Enum

from stormc.finding import Finding, Path, Severity, severity_of
from stormc.model.layers import Layered
from stormc.phrase import NONE, Phrase, both, phrase, with_other, without
from stormc.record import NamedTuple

Check = Callable[..., Iterator["Violation"]]


class Subject(Enum):
    """What a rule looks at, and with it the signature of its check."""

    APP = "the spec"
    """check(app, platform): the spec with every default filled in."""
    MANIFESTS = "the finished manifests, wherever a value came from"
    """check(service): the manifests after all passes."""
    REPOSITORY = "all apps of the repository"
    """check(repository): a summary of every app, the inventories of the platforms, and today's date."""


class Violation(NamedTuple):
    """One breach of a rule at a path of the spec; the position is looked up by the caller.

    A rule about the repository knows its own positions: `app` is the index of the summary that is to blame.
    """

    path: Path
    message: Phrase
    hint: Phrase = NONE
    at_key: bool = False
    app: int = 0


def of_both_roles(violations: Iterable[Violation], layered: Layered) -> Iterator[Violation]:
    """The violations. Two that say the same of both roles, at one place of the spec, become one that names both."""
    same: dict[tuple[object, ...], Violation] = {}
    for violation in violations:
        others, role = without(violation.message, "role")
        key = (layered.locate(violation.path, violation.at_key), others, violation.hint)
        before = same.get(key)
        if before is None:
            same[key] = violation
        elif role != (first := without(before.message, "role")[1]):
            roles = both([str(first), str(role)])
            same[key] = before._replace(message=with_other(before.message, role=roles))
    yield from same.values()


def finding_of(rule: str, violation: Violation, layered: Layered) -> Finding:
    """A rule's violation as a finding. In a file that several apps share, the message names the app."""
    file, mark = layered.locate(violation.path, violation.at_key)
    message = violation.message
    if file != layered.file:
        message = phrase("{message} (app {app})", message=message, app=layered.data.get("name"))
    return Finding(rule, file, mark, message, violation.hint, violation.path)


class Example(NamedTuple):
    """A few fields of a spec, as YAML, laid over a valid app; `at` is the dotted path of the finding they must cause.

    `template` holds what an override lays over the pod template of a `role`, and `at` begins with `template.` where it
    leads there. `platform` holds fields of a platform file, `beside` the fields of further apps of the repository.
    """

    spec: str = ""
    at: str = ""
    role: str = ""
    template: str = ""
    platform: str = ""
    beside: tuple[str, ...] = ()


class Rule(NamedTuple):
    """One check. The first line of its document is the title, the rest tells who reads the value and what happens.

    The document is the docstring of the rule's file. A bad example must cause findings of this id, the first one at its
    path, and no other error; `instead` has bad ones put right and `good` further ones that are right, without findings.
    A rule that finds nothing in an app without overrides is applied `only_when_overridden`.
    """

    id: str
    document: str | None
    check: Check
    source: str
    bad: tuple[Example, ...]
    good: tuple[Example, ...] = ()
    instead: tuple[Example, ...] = ()
    subject: Subject = Subject.APP
    only_when_overridden: bool = False

    @property
    def severity(self) -> Severity:
        """Only errors stop a render."""
        return severity_of(self.id)

    @property
    def title(self) -> str:
        """The first line of the document."""
        return (self.document or "").strip().partition("\n")[0]

    @property
    def why(self) -> str:
        """The rest of the document as one paragraph."""
        return " ".join((self.document or "").strip().partition("\n")[2].split())
