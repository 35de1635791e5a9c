"""What a rule is: a stable id, a check whose docstring explains it to users, a source, and examples that prove it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from enum import Enum
from typing import NamedTuple

from stormc.finding import Path, Severity, severity_of

Check = Callable[..., Iterator["Violation"]]


class Sees(Enum):
    """What a rule is shown, and with it the signature of its check."""

    APP = "app"
    """check(app, platform): the spec with every default filled in."""
    MANIFESTS = "manifests"
    """check(finished): the manifests after all passes, wherever a value in them came from."""
    REPOSITORY = "repository"
    """check(repository): a summary of every app, the inventories of the platforms, and today's date."""


class Violation(NamedTuple):
    """One breach of a rule at a path of the spec; the position is looked up by the caller.

    A rule about the repository knows its own positions: `app` is the index of the summary that is to blame.
    """

    path: Path
    message: str
    hint: str = ""
    at_key: bool = False
    app: int = 0


class Example(NamedTuple):
    """A few spec fields laid over a valid app; `at` is the dotted path of the finding they must cause.

    `platform` holds fields of a platform file, `beside` the fields of further apps of the repository.
    """

    spec: str
    at: str = ""
    platform: str = ""
    beside: tuple[str, ...] = ()


def patched(patch: str) -> str:
    """The fields of an example that overrides the StormService."""
    return f"overrides: [{{target: StormService, reason: r, owner: o, patch: {patch}}}]"


def both(one: str, other: str) -> str:
    """The fields of two examples in one."""
    return f"{{{one}, {other}}}"


def in_role(role: str, template: str) -> str:
    """The fields of an example that overrides a role's pod template."""
    return patched(f"{{spec: {{template: {{spec: {{roles: [{{name: {role}, template: {template}}}]}}}}}}}}")


IN_ROLE = "overrides[0].patch.spec.template.spec.roles[0].template"
"""Where `in_role` puts a template."""


class Rule(NamedTuple):
    """One check. The first line of its docstring is the title, the rest tells who reads the value and what happens.

    A bad example must cause findings of this id, the first one at its path, and no other error; a good one none.
    """

    id: str
    check: Check
    source: str
    bad: tuple[Example, ...]
    good: tuple[Example, ...]
    sees: Sees = Sees.APP

    @property
    def severity(self) -> Severity:
        """Only errors stop a render."""
        return severity_of(self.id)

    @property
    def title(self) -> str:
        """The first line of the check's docstring."""
        return _paragraphs(self.check)[0]

    @property
    def why(self) -> str:
        """The rest of the check's docstring as one paragraph."""
        return _paragraphs(self.check)[1]


def _paragraphs(check: Check) -> tuple[str, str]:
    title, _, rest = (check.__doc__ or "").strip().partition("\n")
    return title, " ".join(rest.split())
