"""The cluster's DNS on one machine: put on PYTHONPATH as sitecustomize, it resolves names from a file.

Every Python process of a local run loads it, so that launcher and proxy resolve Service and pod names by the ordinary
socket.getaddrinfo. Standard library only.
"""

from __future__ import annotations

import json
import os
import socket
import sys
from typing import Any

FILE = "STORMC_LOCAL_NAMES"
"""Names the file: a JSON object of name → address, replaced as a whole when it changes."""


def install() -> None:
    """Makes socket.getaddrinfo ask the file first. uvloop has a resolver of its own, so it must not be found."""
    path = os.environ.get(FILE)
    if not path:
        return
    ordinary = socket.getaddrinfo
    sys.modules["uvloop"] = None  # type: ignore[assignment]

    def getaddrinfo(host: Any, *rest: Any, **options: Any) -> Any:
        name = host.decode() if isinstance(host, bytes) else host
        if isinstance(name, str):
            with open(path, encoding="utf-8") as file:
                name = json.load(file).get(name.rstrip("."), name)
        return ordinary(name, *rest, **options)

    socket.getaddrinfo = getaddrinfo


if __name__ == "sitecustomize":
    install()
