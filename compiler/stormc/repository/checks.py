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
    Check(
        "E086",
        "podGroupSize does not go from several pods to one in place, before AIBrix v0.7.",
        "Instances of several pods are made by another controller than pods of their own. Each takes the other's pods "
        "for wrong ones: they are deleted and created without an end, while AIBrix says Ready. `validate --changed` "
        "compares with the base.",
    ),
    Check(
        "W084",
        "podGroupSize goes from one pod to several: before AIBrix v0.7 the old pods are left behind.",
        "They run on, hold their NPUs and belong to nothing, until somebody deletes them. `validate --changed` "
        "compares with the base.",
    ),
    Check(
        "I085",
        "Another podGroupSize replaces all pods of the role.",
        "From one pod to several, or back, AIBrix v0.7 replaces all instances at once, before any other role; else one "
        "instance after the other. `validate --changed` compares with the base.",
    ),
)
NAMESAKE, DEFINED_TWICE, SAME_DIRECTORY, OTHER_VERSION, OTHER_CLUSTER = (check.id for check in CHECKS[:-3])
FOUGHT_FOR, LEFT_BEHIND, REPLACED = (check.id for check in CHECKS[-3:])
