"""The app of the README in every shape, as manifests."""

from __future__ import annotations

from stormc.tree.rendered_app import Manifest
from tests.samples import compile_in, repository, spec_text


def shaped(overlay: str, release: str, namespace: str = "inference") -> list[Manifest]:
    """The manifests of the README's app with an overlay, which has no errors."""
    platform = f"apiVersion: stormc.dev/v1\nkind: Platform\naibrix: {release}\n"
    spec = spec_text(overlay).replace("namespace: inference", f"namespace: {namespace}")
    made = compile_in(repository({"app.yaml": spec, "platform.yaml": platform}))
    assert made.files is not None and made.compiled is not None, made.findings
    return list(made.compiled.manifests)
