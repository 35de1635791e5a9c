"""stormc as a plugin of Argo CD, as docs/containers.md describes it: nothing is committed but specs.

The sidecar runs as a program beside the repo server.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.e2e.live.aibrix import releases
from tests.e2e.live.argocd import APPLICATION, ArgoCD
from tests.e2e.live.cluster import LiveCluster
from tests.e2e.live.layouts import SMALL
from tests.e2e.live.repository import Repository
from tests.e2e.live.site import ROOT
from tests.samples import spec_text

NAMESPACE, APP = "plugin", "chat"

pytestmark = pytest.mark.parametrize("live", releases()[-1:], indirect=True, ids=lambda release: release.label)


@pytest.fixture
def argocd(live: LiveCluster) -> Iterator[ArgoCD]:
    """An Argo CD with the plugin of the image."""
    made = ArgoCD(live.plane, "argocd-plugin")
    try:
        made.start_plugin(ROOT / "tools/argocd-plugin.yaml", Path(sys.executable).parent)
        yield made
    finally:
        made.stop()
        live.plane.stop("argocd-plugin-cmp-server")
        live.remove(NAMESPACE, APP)


def test_a_directory_of_specs_is_synced(live: LiveCluster, argocd: ArgoCD, tmp_path: Path) -> None:
    live.namespace(NAMESPACE)
    repository = Repository(tmp_path, live.plane.address)
    path = repository.spec(f"staging/{APP}")
    path.parent.mkdir()
    path.write_text(spec_text(f"{SMALL}name: {APP}\nnamespace: {NAMESPACE}\n"), encoding="utf-8")
    commit = repository.commit_specs("A spec")
    application = documented()
    metadata, source = application["metadata"], application["spec"]["source"]
    application |= {"metadata": metadata | {"namespace": argocd.namespace}}
    application["spec"] |= {"source": source | {"repoURL": repository.url}}
    application["spec"]["destination"]["namespace"] = NAMESPACE
    live.plane.request("POST", APPLICATION.path(argocd.namespace), application)
    argocd.until_synced(metadata["name"], commit)
    live.until_ready(NAMESPACE, APP)
    assert not repository.rendered.exists()
    repository.close()


def documented() -> dict[str, Any]:
    """The Application of docs/containers.md."""
    page = (ROOT / "docs/containers.md").read_text(encoding="utf-8")
    (text,) = re.findall(r"```yaml\n(apiVersion: argoproj.*?)```", page, re.S)
    return dict(yaml.safe_load(text))
