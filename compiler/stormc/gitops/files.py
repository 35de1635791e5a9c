"""The files of all wirings."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from stormc.gitops import argocd, flux
from stormc.gitops.wiring import Manifest, Wiring, joined
from stormc.tree.layout import layout


def wiring_files(wirings: Sequence[Wiring]) -> dict[str, bytes]:
    """The files of the wirings by their path below the rendered tree."""
    return {
        f"{directory}/{name}": text.encode()
        for wiring in wirings
        for directory, manifests in wiring_directories(wiring)
        for name, text in layout(manifests, wiring.request.spec_file).items()
    }


def wiring_directories(wiring: Wiring) -> Iterator[tuple[str, list[Manifest]]]:
    """The directories of a wiring, below the rendered tree, with the manifests of each."""
    settings = wiring.request.gitops
    if settings.argocd:
        root = joined(wiring.root, "argocd")
        yield root, argocd.entry(wiring, settings.argocd)
        yield joined(root, argocd.SYNCED), argocd.synced(wiring, settings.argocd)
    if settings.flux:
        root = joined(wiring.root, "flux")
        yield root, flux.entry(wiring, settings.flux)
        yield joined(root, flux.SYNCED), flux.synced(wiring, settings.flux)
