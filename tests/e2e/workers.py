"""Which tests share a worker of pytest-xdist: those that share a cluster, because each starts it once."""

from __future__ import annotations

import re

from xdist.scheduler import LoadScopeScheduling

ENGINES = re.compile(r"live/test_(argocd|flux|many_apps)")


class ByCluster(LoadScopeScheduling):  # type: ignore[misc]  # pytest-xdist has no types
    """Hands out all tests of Argo CD and Flux, all others of a release of AIBrix, and those without controllers."""

    def _split_scope(self, nodeid: str) -> str:
        return cluster(nodeid)


def cluster(nodeid: str) -> str:
    """The cluster of a test, by its name; among the parameters of a live test is the release."""
    file, _, parameters = nodeid.partition("[")
    if ENGINES.search(file):
        return "engines"
    release = re.search(r"v\d+\.\d+\.\d+", parameters)
    return (release[0] if release else "live") if "/live/" in file else "server"
