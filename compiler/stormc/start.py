"""The `stormc` script: its modules come compiled from one file, and memory is not tidied up at the end.

A verb imports 250 modules and more. Finding and reading them one by one was a fifth of `stormc validate`
(`python -m tests.bench_start`), so what Python has compiled is kept together in one more file of `__pycache__`. Every
entry has the time and size of its source: one that does not fit the source is not used. Without the file, or where it
cannot be written, Python imports as ever. `python -m stormc.start` writes it with all modules, for installations that
are read-only when they run: images, and what an administrator installs for others.
"""

from __future__ import annotations

import gc
import marshal
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from importlib.machinery import ModuleSpec, SourceFileLoader
from importlib.util import MAGIC_NUMBER
from types import CodeType, ModuleType
from typing import NoReturn

_PACKAGE = os.path.dirname(__file__)
_CACHE = os.path.join(_PACKAGE, "__pycache__")
FILE = os.path.join(_CACHE, f"all.{sys.implementation.cache_tag}.bundle")
_URLS = "urllib.parse"

Place = tuple[bool, int, int, int, int]
"""Whether a module is a package, time and size of its source, and where its code is in the file: offset, length."""

Module = tuple[bool, int, int, bytes]
"""Whether it is a package, time and size of its source, and its code."""


class _Loader(SourceFileLoader):
    """Loads a module as its source file would, from code that is already read."""

    def __init__(self, name: str, source: str, compiled: bytes) -> None:
        super().__init__(name, source)
        self.compiled = compiled

    def get_code(self, fullname: str) -> CodeType | None:
        """The code; of damaged code or that of another directory, what Python finds by itself."""
        compiled, self.compiled = self.compiled, b""  # the loader lives as long as the module
        with suppress(ValueError, EOFError, TypeError):
            code = marshal.loads(compiled)
            if isinstance(code, CodeType) and code.co_filename == self.path:
                return code
        return super().get_code(fullname)


class Bundle:
    """Finds modules of stormc in one file of compiled ones (a finder of `sys.meta_path`)."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.descriptor, self.places = _opened(file)

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """The module, where its compiled code fits the source of today."""
        place = self.places.get(fullname)
        if place is None:
            return None
        package, time, size, offset, length = place
        source = _source(fullname, package)
        if _stamp(source) != (time, size):
            return None
        loader = _Loader(fullname, source, os.pread(self.descriptor, length, offset))
        spec = ModuleSpec(fullname, loader, origin=source, is_package=package)
        spec.has_location = True
        spec.cached = self.file
        if package:
            spec.submodule_search_locations = [os.path.dirname(source)]
        return spec

    def add(self, modules: Iterable[tuple[str, bool]]) -> None:
        """Adds modules by name, and whether they are packages; writes the file anew if there are some. May fail."""
        new = {name: module for name, package in modules if (module := _compiled(name, package)) is not None}
        if not new:
            return
        known = {
            name: (package, time, size, os.pread(self.descriptor, length, offset))
            for name, (package, time, size, offset, length) in self.places.items()
            if _stamp(_source(name, package)) == (time, size)
        }
        beside = f"{self.file}.{os.getpid()}"
        with open(beside, "xb") as file:
            file.write(_joined(known | new))
        os.replace(beside, self.file)


def _joined(modules: dict[str, Module]) -> bytes:
    """The file: the code of every module, a table of where they are, and the table's length."""
    table: dict[str, Place] = {}
    offset = 0
    for name, (package, time, size, code) in modules.items():
        table[name] = (package, time, size, offset, len(code))
        offset += len(code)
    end = marshal.dumps((MAGIC_NUMBER, table))
    return b"".join([*(code for *_, code in modules.values()), end, len(end).to_bytes(4, "little")])


def _opened(file: str) -> tuple[int, dict[str, Place]]:
    """The open file and its table; an empty table where there is no such file, or another one."""
    with suppress(OSError, ValueError, EOFError, TypeError):
        descriptor = os.open(file, os.O_RDONLY | os.O_CLOEXEC)
        end = os.fstat(descriptor).st_size - 4
        length = int.from_bytes(os.pread(descriptor, 4, end), "little")
        magic, table = marshal.loads(os.pread(descriptor, length, end - length))
        if magic == MAGIC_NUMBER and isinstance(table, dict):
            return descriptor, table
    return -1, {}


def _compiled(name: str, package: bool) -> Module | None:
    """A module of today's source; None where there is none."""
    source = _source(name, package)
    stamp = _stamp(source)
    code = SourceFileLoader(name, source).get_code(name) if stamp else None
    return (package, *stamp, marshal.dumps(code)) if stamp and code else None


def _source(name: str, package: bool) -> str:
    below = name.removeprefix("stormc.").replace(".", "/")
    return f"{_PACKAGE}/{below}/__init__.py" if package else f"{_PACKAGE}/{below}.py"


def _stamp(source: str) -> tuple[int, int] | None:
    """Time and size of a source, by which a `.pyc` fits it, too (PEP 552); None where there is none."""
    try:
        stat = os.stat(source)
    except OSError:
        return None
    return int(stat.st_mtime), stat.st_size


def _all_modules() -> Iterator[tuple[str, bool]]:
    """Every module below this package, and whether it is a package itself."""
    for directory, _, files in os.walk(_PACKAGE):
        for file in sorted(files):
            below = os.path.relpath(os.path.join(directory, file), _PACKAGE)
            if file.endswith(".py") and below != "__init__.py":
                name = "stormc." + below.removesuffix(".py").replace(os.sep, ".")
                yield name.removesuffix(".__init__"), file == "__init__.py"


def _found_by_python() -> Iterator[tuple[str, bool]]:
    """The modules of stormc that this process has loaded, and no bundle gave."""
    for name, module in list(sys.modules.items()):
        spec = module.__spec__ if name.startswith("stormc.") and name != __name__ else None
        if spec is not None and type(spec.loader) is SourceFileLoader:
            package = spec.submodule_search_locations is not None
            if spec.origin == _source(name, package):
                yield name, package


@contextmanager
def _without_urls() -> Iterator[None]:
    """pathlib without `urllib.parse` and all that it loads; it wants one function from there, for `Path.as_uri`.

    A placeholder stands for it in `sys.modules` while pathlib is loaded, and no longer.
    """
    if _URLS in sys.modules:
        yield
        return
    placeholder = sys.modules[_URLS] = ModuleType(_URLS)
    placeholder.quote_from_bytes = _quoted  # type: ignore[attr-defined]
    try:
        yield
    finally:
        del sys.modules[_URLS]


def _quoted(path: bytes) -> str:
    from urllib.parse import quote_from_bytes

    return quote_from_bytes(path)


def script() -> NoReturn:
    """What the process runs: `main`, and then no tidying up of memory that the system takes back anyway.

    An eighth of the time of a short command, as mypy found too (mypy/util.py, hard_exit).
    """
    gc.set_threshold(100_000)  # commands make few cycles; the usual 700 costs a tenth of the start
    bundle = Bundle(FILE)
    sys.meta_path.insert(0, bundle)
    with _without_urls():
        import pathlib  # noqa: F401
    import argparse

    argparse._ = str  # type: ignore[attr-defined]  # no catalogue translates it, and looking for one takes 1 ms
    from stormc.__main__ import main

    code = main()
    with suppress(OSError):
        sys.stderr.flush()
    wanted = not sys.dont_write_bytecode and not sys.flags.optimize and sys.pycache_prefix is None
    if wanted and os.access(_CACHE, os.W_OK):
        with suppress(OSError):
            bundle.add(_found_by_python())
    os._exit(code)


if __name__ == "__main__":
    os.makedirs(_CACHE, exist_ok=True)
    Bundle(FILE).add(_all_modules())
