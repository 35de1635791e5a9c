"""What all specs together can report."""

from __future__ import annotations

from stormc.finding import Check

CHECKS = (
    Check(
        "E301",
        "A StormService has one owner.",
        "Two specs of one name and namespace overwrite each other at every sync, and each time pods restart.",
    ),
    Check(
        "E302",
        "A profile's name is unique, and a directory has one platform file.",
        "Which of two counts would be chance.",
    ),
    Check(
        "E303",
        "Every app renders into a directory of its own.",
        "Two apps in one directory would overwrite each other.",
    ),
)
NAMESAKE, DEFINED_TWICE, SAME_DIRECTORY = (check.id for check in CHECKS)
