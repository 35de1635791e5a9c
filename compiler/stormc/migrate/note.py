"""What an import has to say of a place in the file that it reads."""

from __future__ import annotations

from stormc.finding import Check, Mark, Path
from stormc.phrase import NONE, Phrase
from stormc.record import NamedTuple

CHECKS = (
    Check(
        "E601",
        "An imported file holds a StormService or a config of the k8s-deploy-tool.",
        "Nothing else describes an app; other objects stay where they are.",
    ),
    Check(
        "E602",
        "An import finds what every spec needs.",
        "Without roles, hardware and the model's directory there is no app; --hardware and --model-path say the two.",
    ),
    Check(
        "W603",
        "An imported key is one that somebody reads.",
        "Controllers and the k8s-deploy-tool ignore what they do not know, so a misspelt key never had an effect.",
    ),
    Check(
        "W604",
        "In an imported file every key stands once.",
        "The k8s-deploy-tool takes the last of two; the spec gets what ran.",
    ),
    Check(
        "W605",
        "Everything in an imported file can be taken over.",
        "What a controller writes, what has no effect where it stands, and what stormc replaces is left out, and said.",
    ),
    Check(
        "I606",
        "An import says what it assumed.",
        "The file does not name hardware or sizes outright; check what was inferred.",
    ),
    Check(
        "I607", "An import says what it leaves alone.", "Other objects of the file are no part of an app; keep them."
    ),
    Check(
        "W608",
        "Nobody else scales the roles of an imported app.",
        "A PodAutoscaler writes roles[].replicas of the StormService. Git takes that back at every sync, and the proxy "
        "knows only the instances of the spec.",
    ),
)
FOREIGN, LACKING, MISSPELT, REPEATED, LEFT_OUT, ASSUMED, ALONE, SCALED = (check.id for check in CHECKS)


class Note(NamedTuple):
    """One sentence about a path of a StormService. `mark` is its place in the file, where that is known already."""

    rule: str
    path: Path
    message: Phrase
    hint: Phrase = NONE
    at_key: bool = False
    mark: Mark | None = None
