"""What comments and the form of specs can report."""

from __future__ import annotations

from stormc.finding import Check

CHECKS = (
    Check(
        "E110",
        "A comment to stormc is a suppression.",
        "The form is `# stormc: ignore[W020] reason`; in another form the comment would do nothing.",
    ),
    Check(
        "E111",
        "A suppression has a reason.",
        "Without one nobody can tell later whether the warning still is to be ignored.",
    ),
    Check(
        "E112", "A suppression names ids of findings.", "A misspelt id suppresses nothing, and the warning comes back."
    ),
    Check("E113", "Errors cannot be suppressed.", "What the cluster rejects or breaks is not a matter of opinion."),
    Check(
        "W114",
        "Every suppression suppresses something.",
        "A comment that outlived its finding would hide the next one on that line.",
    ),
    Check(
        "E115",
        "Formatting keeps every comment and every value.",
        "Where YAML's own libraries would move or lose a comment, `stormc fmt` leaves the file as it is.",
    ),
    Check(
        "E116",
        "Specs are in canonical form.",
        "`stormc fmt --check` found another order of keys, other quotes or indents; in one form a diff shows changes.",
    ),
)
NO_SUPPRESSION, NO_REASON, NO_ID, SUPPRESSED_ERROR, UNUSED, LOST, STALE = (check.id for check in CHECKS)
