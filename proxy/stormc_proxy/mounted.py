"""Finds the proxy's modules in a pod, where all its files lie in one directory.

A ConfigMap has no directories, so `edge/server.py` is the key, and in the pod the file, `edge.server.py`. To say of
each file where it should lie would take 160 lines in the StormService of every app.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import spec_from_file_location
from pathlib import Path
from types import ModuleType


class MountedFiles(MetaPathFinder):
    """Finds `package.a.b` as `a.b.py` or, where it is a package, as `a.b.__init__.py` in one directory."""

    def __init__(self, package: str, directory: Path) -> None:
        """The directory holds the package's own `__init__.py`."""
        self._prefix, self._directory = f"{package}.", directory

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Where the module is; None for one that is not of this package or not there."""
        if not fullname.startswith(self._prefix):
            return None
        key = fullname.removeprefix(self._prefix)
        package = self._directory / f"{key}.__init__.py"
        if package.is_file():
            return spec_from_file_location(fullname, package, submodule_search_locations=[])
        module = self._directory / f"{key}.py"
        return spec_from_file_location(fullname, module) if module.is_file() else None


def find_mounted(package: str, directory: Path) -> None:
    """From now on the package's modules are found in this directory, if its files lie there without directories."""
    if any(directory.glob("*.__init__.py")):
        sys.meta_path.insert(0, MountedFiles(package, directory))
