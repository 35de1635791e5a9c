"""Everything that the API server says of the objects of a kind, in the order in which it says it."""

from __future__ import annotations

import contextlib
import json
import threading
import time
import urllib.request
from http.client import HTTPException
from typing import Any, NamedTuple

from tests.e2e.live.control_plane import ADMIN, ControlPlane

Manifest = dict[str, Any]


class Version(NamedTuple):
    """A version of an object and when it was heard of, in seconds of a monotonic clock; `gone` when it was the last."""

    at: float
    gone: bool
    object: Manifest


class Watch:
    """Follows the objects of one collection, such as /apis/orchestration.aibrix.ai/v1alpha1/stormservices."""

    def __init__(self, plane: ControlPlane, path: str) -> None:
        self._plane, self._path = plane, path
        self._versions: list[Version] = []
        self._last: dict[tuple[str, str], Version] = {}
        self._ended = False
        listed = plane.request("GET", path)
        for item in listed["items"]:
            self._note(Version(time.monotonic(), False, item))
        self._from = listed["metadata"]["resourceVersion"]
        threading.Thread(target=self._follow, daemon=True).start()

    def close(self) -> None:
        """Listens no more."""
        self._ended = True

    def mark(self) -> int:
        """A place from which a test looks on."""
        return len(self._versions)

    def versions(self, namespace: str, name: str, mark: int = 0) -> list[Version]:
        """What was said of one object since a mark."""
        since = [(version, version.object["metadata"]) for version in self._versions[mark:]]
        return [v for v, metadata in since if (metadata.get("namespace", ""), metadata["name"]) == (namespace, name)]

    def live(self) -> list[Manifest]:
        """The objects that are there, in their last version."""
        return [version.object for version in list(self._last.values()) if not version.gone]

    def find(self, namespace: str, name: str) -> Manifest | None:
        """The last version of an object that is there."""
        last = self._last.get((namespace, name))
        return last.object if last and not last.gone else None

    def _follow(self) -> None:
        while not self._ended:
            query = f"?watch=true&allowWatchBookmarks=true&resourceVersion={self._from}"
            request = urllib.request.Request(
                self._plane.url + self._path + query, headers={"Authorization": f"Bearer {ADMIN}"}
            )
            with (
                contextlib.suppress(OSError, HTTPException),
                urllib.request.urlopen(request, context=self._plane.trust()) as stream,
            ):
                for line in stream:
                    self._hear(json.loads(line))

    def _hear(self, event: Manifest) -> None:
        assert event["type"] != "ERROR", event
        self._from = event["object"]["metadata"]["resourceVersion"]
        if event["type"] != "BOOKMARK":
            self._note(Version(time.monotonic(), event["type"] == "DELETED", event["object"]))

    def _note(self, version: Version) -> None:
        metadata = version.object["metadata"]
        self._last[metadata.get("namespace", ""), metadata["name"]] = version
        self._versions.append(version)
