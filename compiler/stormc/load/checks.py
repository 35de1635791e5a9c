"""What reading files can report."""

from __future__ import annotations

from stormc.finding import Check

CHECKS = (
    Check(
        "E101",
        "Every file below specs/ can be read.",
        "A file that stormc cannot read is an app that nobody checks; a render without it would remove its manifests.",
    ),
    Check(
        "E102",
        "A spec file has a bounded size.",
        "Specs are a few lines; a large file is a mistake, and reading it would stop the hook.",
    ),
    Check(
        "E103",
        "A spec file and its name are UTF-8.",
        "YAML readers disagree on any other encoding, so Git, the compiler and the reviewer would see different text.",
    ),
    Check(
        "E104",
        "A spec file is plain YAML.",
        "Tabs, tags, merge keys and keys that are no strings mean different things to different readers of YAML; a "
        "character that nobody sees, such as a line separator in a comment, can hide a field from the reviewer.",
    ),
    Check(
        "E105",
        "A spec file holds one document.",
        "One app has one file, which its rendered directory names in every header.",
    ),
    Check(
        "E106",
        "A spec file holds a mapping.",
        "An empty file or a list says nothing about an app: most likely it was cut off.",
    ),
    Check(
        "E107",
        "Nesting and aliases are bounded.",
        "A few lines of anchors expand to millions of values; no spec needs more than a handful of levels.",
    ),
    Check(
        "E108",
        "Every key stands once.",
        "YAML readers take the first or the last of two, silently; with the k8s-deploy-tool a second "
        "schedule_minAvailable broke the gang that way.",
    ),
    Check(
        "E109",
        "Specs lie inside the specs directory.",
        "A link that leads elsewhere makes the result depend on the machine that renders.",
    ),
)
UNREADABLE, TOO_LARGE, NOT_UTF_8, NOT_PLAIN, SEVERAL_DOCUMENTS, NO_MAPPING, TOO_DEEP, REPEATED_KEY, OUTSIDE = (
    check.id for check in CHECKS
)
