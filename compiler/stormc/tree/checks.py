"""What the rendered tree on disk can report."""

from __future__ import annotations

from stormc.finding import Check

CHECKS = (
    Check(
        "E401",
        "Below rendered/ stands only what stormc wrote.",
        "An engine would apply a foreign file too, and no spec explains it. stormc never removes it.",
    ),
    Check(
        "E402",
        "No memory of a render is committed.",
        "`.stormc_cache` is what stormc up to 0.1 remembered of a render; a branch that brings one tried "
        "to make CI believe that other manifests are right. Today the memory lies in the user's cache "
        "directory.",
    ),
    Check(
        "E403",
        "The commit holds the manifests that its specs render to.",
        "A file that is rendered and not staged is missing for everybody else: the kustomization names it, "
        "and Argo CD and Flux cannot build the app. The pre-commit hook looks at this (`render --check "
        "--staged`).",
    ),
)
FOREIGN_FILE, COMMITTED_MEMORY, UNSTAGED = (check.id for check in CHECKS)
