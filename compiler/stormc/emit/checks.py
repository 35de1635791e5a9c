"""What the API server's schemas can report."""

from __future__ import annotations

from stormc.finding import Check

CHECKS = (
    Check(
        "E501",
        "The API server accepts every manifest, and keeps it as it is.",
        "The manifest breaks the schema of its kind, or has a value that the server writes back "
        "differently and that Argo CD then reports for ever: zeros, empty lists, quantities that are not "
        "canonical.",
    ),
    Check(
        "E502",
        "The cluster's own CRD accepts the StormService.",
        "The file given with --crd is from another AIBrix release, which refuses or prunes what stormc writes.",
    ),
)
REFUSED, REFUSED_BY_CRD = (check.id for check in CHECKS)
