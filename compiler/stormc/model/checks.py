"""What the fields of specs, platforms and profiles can report."""

from __future__ import annotations

from stormc.finding import Check

CHECKS = (
    Check(
        "E200", "A field satisfies the schema.", "The value breaks a constraint of the spec format; see docs/spec.md."
    ),
    Check(
        "E201",
        "Every key is one of the spec format.",
        "An unknown key would be ignored, and the app would be rendered without what was meant.",
    ),
    Check("E202", "Required fields are there.", "Nothing sensible can be assumed in their place."),
    Check(
        "E203",
        "A field has the right type.",
        "A number that is text or the other way round is read differently by Kubernetes, Volcano and Python.",
    ),
    Check("E204", "A number is in its range.", "The limit is that of the API or controller that reads it."),
    Check(
        "E205",
        "A value is one of the allowed ones.",
        "Controllers ignore words that they do not know or take them for a default, without saying so.",
    ),
    Check(
        "E206",
        "A text has the right form.",
        "The API server refuses names, labels, images and quantities of any other form.",
    ),
    Check(
        "E207",
        "The hardware is a known profile.",
        "NPU count, resource, scheduling policy and ports all come from the profile; own ones go to specs/profiles/.",
    ),
    Check(
        "E208",
        "A profile does not contradict itself.",
        "Volcano takes the handler of the policy: it knows logical super pods or not, and how many NPUs "
        "a node has. With other facts in the profile its pods stay Pending.",
    ),
    Check(
        "E209",
        "A file below the specs is what its place says.",
        "platform.yaml holds a Platform, profiles/ holds Profiles, every other file an App. Anything else would be "
        "judged as a spec that lacks everything.",
    ),
)
(
    BROKEN_CONSTRAINT,
    UNKNOWN_KEY,
    MISSING,
    WRONG_TYPE,
    OUT_OF_RANGE,
    NOT_ALLOWED,
    WRONG_FORM,
    UNKNOWN_PROFILE,
    CONTRADICTION,
    OTHER_KIND,
) = (check.id for check in CHECKS)
