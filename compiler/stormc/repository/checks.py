"""What all specs together can report."""

from __future__ import annotations

from stormc.finding import Check

CHECKS = (
    Check(
        "E301",
        "A StormService has one owner on its cluster.",
        "Two specs of one name and namespace overwrite each other at every sync, and each time pods restart. On "
        "clusters of their own they are two services: platform files tell clusters apart by `cluster:`, or by the "
        "`server` of Argo CD.",
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
    Check(
        "E307",
        "The stormc that runs is one that the platform file asks for.",
        "Another version renders other bytes, and every app of the directory would look changed. "
        "`stormc: '>=0.2,<0.3'` in a platform file pins it, for its directory and those below.",
    ),
    Check(
        "E308",
        "One wiring deploys to one cluster.",
        "An engine applies everything below the platform file that asks for wiring to the same API server, so a "
        "directory with a `cluster:` of its own needs a wiring of its own.",
    ),
)
NAMESAKE, DEFINED_TWICE, SAME_DIRECTORY, OTHER_VERSION, OTHER_CLUSTER = (check.id for check in CHECKS)
