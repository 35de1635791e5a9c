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
    Check(
        "E404",
        "The stormc that checks a rendered tree is the one that made it.",
        "Another version may render every app differently, which would look as if nobody had rendered at all, and "
        "whoever then renders restarts pods of the whole fleet. `rendered/.stormc` says which version made each "
        "directory.",
    ),
)
FOREIGN_FILE, COMMITTED_MEMORY, UNSTAGED, MADE_BY_ANOTHER = (check.id for check in CHECKS)
