"""The `stormc` script: its modules come compiled from one file, and memory is not tidied up at the end.

A verb imports 250 modules and more. Finding and reading them one by one was a fifth of `stormc validate`
(`python -m tests.bench_start`), so what Python has compiled is kept together in one more file of `__pycache__`, those
of the standard library and of GitPython too. Every entry has the place, time and size of its source: one that does not
fit the source is not used, nor one that Python would find somewhere else. Without the file, or where it cannot be
written, Python imports as ever. `python -m stormc.start` writes it with all modules of stormc and with what short
commands load besides, for installations that are read-only when they run: images, and what an administrator installs
for others.

What this file imports is found by Python itself, so it is little.
"""

from __future__ import annotations

import gc
import marshal
import os
import sys
from importlib.machinery import ModuleSpec, SourceFileLoader
from types import CodeType, ModuleType

TYPE_CHECKING = False  # typing is half of what Python itself takes to start
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from typing import NoReturn

_PACKAGE = os.path.dirname(__file__)
_CACHE = os.path.join(_PACKAGE, "__pycache__")
FILE = os.path.join(_CACHE, f"all.{sys.implementation.cache_tag}.bundle")
_OTHERS = frozenset(["git", "gitdb", "jsonschema_rs", "smmap", "yaml"]) | sys.stdlib_module_names
"""Packages besides stormc that short commands load."""
_SHORT = (
    "argparse",
    "stormc.compile.stages",
    *(f"stormc.actions.{n}" for n in ("rendering", "explaining", "comparing")),
)
"""Modules that load them."""
_URLS = "urllib.parse"

Place = tuple[int, int]
"""Where a module is in the file: offset and length of an Entry."""

Entry = tuple[str, bool, int, int, bytes]
"""A module's source, whether it is a package, the source's time and size, and its code as Python writes it."""


class _Loader(SourceFileLoader):
    """Loads a module as its source file would, from code that is already read."""

    def __init__(self, name: str, source: str, code: CodeType) -> None:
        super().__init__(name, source)
        self.code: CodeType | None = code

    def get_code(self, fullname: str) -> CodeType | None:
        """The code, once: the loader lives as long as the module."""
        code, self.code = self.code, None
        return code or super().get_code(fullname)


class Bundle:
    """Finds modules in one file of compiled ones (a finder of `sys.meta_path`)."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.descriptor, self.places = _opened(file)
        self._listings: dict[str, frozenset[str] | None] = {}

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """The module, where its compiled code fits the source of today, and Python would find that source."""
        found = self._found(fullname)
        if found is None:
            return None
        source, package, code = found
        directory = os.path.dirname(os.path.dirname(source) if package else source)
        if not (self._is_first(fullname, directory) if path is None else directory in path):
            return None
        loader = _Loader(fullname, source, code)
        spec = ModuleSpec(fullname, loader, origin=source, is_package=package)
        spec.has_location = True
        spec.cached = self.file
        if package:
            spec.submodule_search_locations = [os.path.dirname(source)]
        return spec

    def _is_first(self, name: str, directory: str) -> bool:
        """Whether this is the first directory of `sys.path` that may hold a module or package of the name."""
        for place in sys.path:
            if place == directory:
                return True
            if place not in self._listings:
                self._listings[place] = _modules_in(place or os.curdir)
            listing = self._listings[place]
            if listing is None or name in listing:
                return False
        return False

    def _found(self, name: str) -> tuple[str, bool, CodeType] | None:
        """The source of a module, whether it is a package, and its code; None where it is damaged or moved."""
        entry = self._entry(name)
        if entry is None:
            return None
        source, package, _, _, compiled = entry
        try:
            code = marshal.loads(compiled)
        except (ValueError, EOFError, TypeError):
            return None
        return (source, package, code) if isinstance(code, CodeType) and code.co_filename == source else None

    def _entry(self, name: str) -> Entry | None:
        """What the file has of a module, where it fits the source of today."""
        place = self.places.get(name)
        if place is None:
            return None
        try:
            source, package, time, size, compiled = marshal.loads(os.pread(self.descriptor, place[1], place[0]))
        except (ValueError, EOFError, TypeError):
            return None
        return (source, package, time, size, compiled) if _stamp(source) == (time, size) else None

    def add(self, modules: Iterable[tuple[str, str, bool]]) -> None:
        """Adds modules: name, source, whether it is a package; writes the file anew if there are some. May fail."""
        new = {
            name: entry
            for name, source, package in modules
            if self._found(name) is None and (entry := _compiled(name, source, package)) is not None
        }
        if not new:
            return
        known = {name: entry for name in self.places if (entry := self._entry(name)) is not None}
        beside = f"{self.file}.{os.getpid()}"
        with open(beside, "xb") as file:
            file.write(_joined(known | new))
        os.replace(beside, self.file)


def _modules_in(directory: str) -> frozenset[str] | None:
    """What may be modules or packages of a directory; None for an archive, which may hold any."""
    try:
        return frozenset(entry.partition(".")[0] for entry in os.listdir(directory))
    except FileNotFoundError:
        return frozenset()
    except OSError:
        return None


def _joined(modules: dict[str, Entry]) -> bytes:
    """The file: an entry for every module, a table of where they are, and the table's length."""
    entries = [marshal.dumps(entry) for entry in modules.values()]
    table: dict[str, Place] = {}
    offset = 0
    for name, entry in zip(modules, entries, strict=True):
        table[name] = (offset, len(entry))
        offset += len(entry)
    end = marshal.dumps((sys.version, table))
    return b"".join([*entries, end, len(end).to_bytes(4, "little")])


def _opened(file: str) -> tuple[int, dict[str, Place]]:
    """The open file and its table; an empty table where there is no such file, or that of another interpreter."""
    try:
        descriptor = os.open(file, os.O_RDONLY | os.O_CLOEXEC)
        end = os.fstat(descriptor).st_size - 4
        length = int.from_bytes(os.pread(descriptor, 4, end), "little")
        version, table = marshal.loads(os.pread(descriptor, length, end - length))
        if version == sys.version and isinstance(table, dict):
            return descriptor, table
    except (OSError, ValueError, EOFError, TypeError):
        pass
    return -1, {}


def _compiled(name: str, source: str, package: bool) -> Entry | None:
    """A module of today's source; None where there is none."""
    stamp = _stamp(source)
    if stamp is None:
        return None
    compiled = _pyc(source, stamp)
    if compiled is None:
        code = SourceFileLoader(name, source).get_code(name)
        compiled = marshal.dumps(code) if code else b""
    return source, package, *stamp, compiled


def _pyc(source: str, stamp: tuple[int, int]) -> bytes | None:
    """The code as Python has written it beside the source; None where there is none that fits (PEP 552)."""
    from importlib.util import MAGIC_NUMBER, cache_from_source

    numbers = (0, stamp[0] & 0xFFFFFFFF, stamp[1] & 0xFFFFFFFF)
    head = MAGIC_NUMBER + b"".join(number.to_bytes(4, "little") for number in numbers)
    try:
        with open(cache_from_source(source), "rb") as file:
            written = file.read()
    except OSError:
        return None
    fits = written.startswith(head) and os.fsencode(source) in written
    return written[len(head) :] if fits else None


def _stamp(source: str) -> tuple[int, int] | None:
    """Time and size of a source, by which a `.pyc` fits it, too (PEP 552); None where there is none."""
    try:
        stat = os.stat(source)
    except OSError:
        return None
    return int(stat.st_mtime), stat.st_size


def _all_modules() -> Iterator[tuple[str, str, bool]]:
    """Every module below this package: its name, its source, and whether it is a package itself."""
    for directory, _, files in os.walk(_PACKAGE):
        for file in sorted(files):
            source = os.path.join(directory, file)
            below = os.path.relpath(source, _PACKAGE)
            if file.endswith(".py") and below != "__init__.py":
                name = "stormc." + below.removesuffix(".py").replace(os.sep, ".")
                yield name.removesuffix(".__init__"), source, file == "__init__.py"


def _found_by_python(before: frozenset[str]) -> Iterator[tuple[str, str, bool]]:
    """The modules that this process has loaded since then, and no bundle gave."""
    for name, module in list(sys.modules.items()):
        spec = getattr(module, "__spec__", None)  # typing.io has none
        if name in before or spec is None or spec.origin is None or type(spec.loader) is not SourceFileLoader:
            continue
        package = name.partition(".")[0]
        if package in _OTHERS or spec.origin.startswith(f"{_PACKAGE}{os.sep}"):
            yield name, spec.origin, spec.submodule_search_locations is not None


def _import_pathlib() -> None:
    """Loads pathlib without `urllib.parse` and all that it loads: it wants one function from there, for `Path.as_uri`.

    A placeholder stands for it in `sys.modules` meanwhile, and no longer.
    """
    placeholder = ModuleType(_URLS)
    placeholder.quote_from_bytes = _quoted  # type: ignore[attr-defined]
    known = sys.modules.setdefault(_URLS, placeholder)
    try:
        import pathlib  # noqa: F401
    finally:
        if known is placeholder:
            del sys.modules[_URLS]


def _quoted(path: bytes) -> str:
    from urllib.parse import quote_from_bytes

    return quote_from_bytes(path)


def script() -> NoReturn:
    """What the process runs: `main`, and then no tidying up of memory that the system takes back anyway.

    An eighth of the time of a short command, as mypy found too (mypy/util.py, hard_exit).
    """
    gc.set_threshold(100_000)  # commands make few cycles; the usual 700 costs a tenth of the start
    before = frozenset(sys.modules)
    bundle = Bundle(FILE)
    sys.meta_path.insert(0, bundle)
    _import_pathlib()
    import argparse

    argparse._ = str  # type: ignore[attr-defined]  # no catalogue translates it, and looking for one takes 1 ms
    from stormc.__main__ import main

    code = main()
    try:
        sys.stderr.flush()
        wanted = not sys.dont_write_bytecode and not sys.flags.optimize and sys.pycache_prefix is None
        if wanted and os.access(_CACHE, os.W_OK):
            bundle.add(_found_by_python(before))
    except OSError:
        pass  # what is not written now is written by another process, or never
    os._exit(code)


def _write_everything() -> None:
    """Writes the file with all modules of stormc, and with those of other packages that short commands load."""
    from importlib import import_module

    before = frozenset(sys.modules)
    for name in _SHORT:
        try:
            import_module(name)
        except ImportError:  # GitPython, where there is no Git
            continue
    os.makedirs(_CACHE, exist_ok=True)
    Bundle(FILE).add([*_found_by_python(before), *_all_modules()])


if __name__ == "__main__":
    _write_everything()
