"""The programs that travel in ConfigMaps: the engine launcher and the proxy's source, read as text."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import NamedTuple

from stormc.digest import digest

HERE = Path(__file__).parent
LAUNCHER = HERE / "launch.py"
PROXY = HERE.parents[2] / "proxy" / "stormc_proxy"


class Payload(NamedTuple):
    """What runs inside the pods; `proxy_version` changes with any byte of the proxy."""

    launcher: str
    proxy: Mapping[str, str]
    proxy_version: str


@cache
def read_payload() -> Payload:
    """The programs as they lie beside the compiler, read once."""
    files = sorted(path for path in PROXY.rglob("*") if path.suffix in (".py", ".html"))
    proxy = {path.relative_to(PROXY).as_posix(): path.read_text(encoding="utf-8") for path in files}
    parts = [part.encode() for item in proxy.items() for part in item]
    return Payload(LAUNCHER.read_text(encoding="utf-8"), proxy, digest(*parts)[:10])
