"""The wirings against the schemas of their engines, like everything else that is rendered."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from stormc.emit.checks import REFUSED
from stormc.emit.schema_check import check_manifest
from stormc.finding import Finding
from stormc.gitops.files import wiring_directories
from stormc.gitops.wiring import Wiring
from stormc.phrase import phrase


def check_schemas(wirings: Sequence[Wiring]) -> Iterator[Finding]:
    """A finding for every object of the wirings that the CRDs of Argo CD or Flux would refuse."""
    for wiring in wirings:
        request = wiring.request
        for _, manifests in wiring_directories(wiring):
            for manifest in manifests:
                for problem in check_manifest(manifest):
                    where = f"{manifest['kind']} {manifest['metadata']['name']}"
                    yield Finding(
                        REFUSED,
                        request.file,
                        request.mark,
                        phrase("{where}: {message}", where=where, message=problem.message),
                        path=("gitops",),
                    )
