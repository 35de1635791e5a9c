"""PyYAML's binding of libyaml without the rest of PyYAML, which a reader of events does not need.

`import yaml` builds its own reader, scanner and resolver in Python, with tables of all of Unicode: longer than Python
takes to start (`python -m tests.bench_start`). The binding wants eight classes of errors from there and gets them from
placeholders, which stand in `sys.modules` while it is loaded and no longer. The package itself is filled in when
somebody asks it for anything more, as importlib's LazyLoader does.
"""

from __future__ import annotations

import sys
from functools import partial
from importlib import import_module
from importlib.machinery import PathFinder
from importlib.util import module_from_spec
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from importlib.abc import Loader

_LIGHT = ("error", "events", "nodes", "tokens")
_ERRORS = {
    "reader": "ReaderError", "scanner": "ScannerError", "parser": "ParserError", "composer": "ComposerError",
    "constructor": "ConstructorError", "emitter": "EmitterError", "serializer": "SerializerError",
    "representer": "RepresenterError",
}  # fmt: skip


def _load() -> tuple[Any, Any, Any]:
    """The parser of libyaml, and the bases of its errors: those at a position, and all."""
    spec = PathFinder.find_spec("yaml") if "yaml" not in sys.modules else None
    if spec is not None and spec.loader is not None:
        package = sys.modules["yaml"] = module_from_spec(spec)
        _load_binding(package)
        package.__getattr__ = partial(_fill_in, package, spec.loader)  # type: ignore[method-assign]
    error = import_module("yaml.error")
    return import_module("yaml._yaml").CParser, error.MarkedYAMLError, error.YAMLError


def _load_binding(package: ModuleType) -> None:
    for name in _LIGHT:
        import_module(f"yaml.{name}")
    error = sys.modules["yaml.error"]
    for name, word in _ERRORS.items():
        bases = (_ReaderError, error.YAMLError) if name == "reader" else (error.MarkedYAMLError,)
        placeholder = sys.modules[f"yaml.{name}"] = ModuleType(f"yaml.{name}")
        setattr(placeholder, word, type(word, bases, {}))
        setattr(package, name, placeholder)
    try:
        import_module("yaml._yaml")
    finally:
        for name in _ERRORS:
            del sys.modules[f"yaml.{name}"]
            delattr(package, name)


def _fill_in(package: ModuleType, loader: Loader, name: str) -> Any:
    """Runs the package's own code when it is first asked for what it does not have yet."""
    if name.startswith("__"):  # the import system looks for these
        raise AttributeError(name)
    del package.__getattr__
    loader.exec_module(package)
    return getattr(package, name)


class _ReaderError:
    """A character that YAML does not allow, told as PyYAML tells it."""

    def __init__(self, name: str, position: int, character: int, encoding: str, reason: str) -> None:
        self.text = f"unacceptable character #x{character:04x}: {reason}"

    def __str__(self) -> str:
        return self.text


Parser, MarkedYAMLError, YAMLError = _load()
