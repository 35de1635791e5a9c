"""Every id that stormc can report: the rules, and what the other rooms declare beside the code that reports it."""

from __future__ import annotations

from stormc.emit import checks as output
from stormc.finding import Check
from stormc.gitops import wiring
from stormc.languages import ENGLISH, Explanation, read_language
from stormc.load import checks as files
from stormc.migrate import note
from stormc.model import checks as fields
from stormc.policy import concerns as policy
from stormc.repository import checks as repository
from stormc.rules import all_rules
from stormc.rules.rule import Rule
from stormc.text import checks as text
from stormc.tree import checks as tree

CHECKS: tuple[Check, ...] = (
    *files.CHECKS,
    *text.CHECKS,
    *fields.CHECKS,
    *repository.CHECKS,
    *wiring.CHECKS,
    *tree.CHECKS,
    *output.CHECKS,
    *policy.CHECKS,
    *note.CHECKS,
)


def ids() -> list[str]:
    """Every id, by number."""
    every = [*(check.id for check in CHECKS), *(rule.id for rule in all_rules())]
    return sorted(every, key=lambda id_: (id_[1:], id_[0]))


def explanation_of(id_: str, language: str = ENGLISH) -> Explanation:
    """Title and reason of an id in a language. Raises KeyError for an unknown id."""
    english = rule_or_check(id_)
    return read_language(language).rules.get(id_) or Explanation(english.title, english.why)


def rule_or_check(id_: str) -> Rule | Check:
    """The rule or check of an id. Raises KeyError for an unknown id."""
    known: dict[str, Rule | Check] = {check.id: check for check in CHECKS}
    known |= {rule.id: rule for rule in all_rules()}
    return known[id_]
