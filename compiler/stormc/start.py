"""The `stormc` script: its modules come compiled from one file, and memory is not tidied up at the end.

A verb imports 250 modules and more. Finding and reading them one by one was a fifth of `stormc validate`
(`python -m tests.bench_start`), so what Python has compiled is kept together in one more file of `__pycache__`. Every
entry is a whole `.pyc` with the time and size of its source: one that does not fit the source is not used. Without the
file, or where it cannot be written, Python imports as ever.
"""

from __future__ import annotations

import marshal
import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from importlib.machinery import ModuleSpec, SourceFileLoader
from importlib.util import MAGIC_NUMBER
from types import CodeType, ModuleType
from typing import NoReturn

_PACKAGE = os.path.dirname(__file__)
_HEAD = 16
"""Bytes of a `.pyc` before the code: magic number, flags, time and size of the source (PEP 552)."""

Entry = tuple[bool, int, int]
"""Whether the module is a package, and where its `.pyc` is in the file: offset, length."""


class _Loader(SourceFileLoader):
    """Loads a module as its source file would, from code that is already read."""

    def __init__(self, name: str, source: str, compiled: bytes) -> None:
        super().__init__(name, source)
        self.compiled = compiled

    def get_code(self, fullname: str) -> CodeType | None:
        """The code; of damaged code or that of another directory, what Python finds by itself."""
        with suppress(ValueError, EOFError, TypeError):
            code = marshal.loads(memoryview(self.compiled)[_HEAD:])
            if isinstance(code, CodeType) and code.co_filename == self.path:
                return code
        return super().get_code(fullname)


class Bundle:
    """Finds modules of stormc in one file of compiled ones (a finder of `sys.meta_path`)."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.descriptor, self.entries = _opened(file)

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """The module, where its compiled code fits the source of today."""
        if fullname not in self.entries:
            return None
        package, compiled = self._entry(fullname)
        source = _source(fullname, package)
        if not _fits(compiled, source):
            return None
        spec = ModuleSpec(fullname, _Loader(fullname, source, compiled), origin=source, is_package=package)
        spec.has_location = True
        spec.cached = _compiled_file(source)
        if package:
            spec.submodule_search_locations = [os.path.dirname(source)]
        return spec

    def add(self, modules: Sequence[tuple[str, ModuleType]]) -> None:
        """Adds the modules that Python had to find itself, and writes the file anew if there are some."""
        new = _compiled(modules)
        if not new:
            return
        everything = {name: self._entry(name) for name in self.entries} | new
        fitting = {name: entry for name, entry in everything.items() if _fits(entry[1], _source(name, entry[0]))}
        beside = f"{self.file}.{os.getpid()}"
        with suppress(OSError):
            with open(beside, "xb") as file:
                file.write(_joined(fitting))
            os.replace(beside, self.file)

    def _entry(self, name: str) -> tuple[bool, bytes]:
        package, offset, length = self.entries[name]
        return package, os.pread(self.descriptor, length, offset)


def _joined(compiled: dict[str, tuple[bool, bytes]]) -> bytes:
    """The file: every `.pyc`, a table of where they are, and the table's length."""
    table: dict[str, Entry] = {}
    offset = 0
    for name, (package, pyc) in compiled.items():
        table[name] = (package, offset, len(pyc))
        offset += len(pyc)
    end = marshal.dumps(table)
    return b"".join([*(pyc for _, pyc in compiled.values()), end, len(end).to_bytes(4, "little")])


def _opened(file: str) -> tuple[int, dict[str, Entry]]:
    """The open file and its table; an empty table where there is no such file, or another one."""
    with suppress(OSError, ValueError, EOFError, TypeError):
        descriptor = os.open(file, os.O_RDONLY | os.O_CLOEXEC)
        end = os.fstat(descriptor).st_size - 4
        length = int.from_bytes(os.pread(descriptor, 4, end), "little")
        table = marshal.loads(os.pread(descriptor, length, end - length))
        if isinstance(table, dict):
            return descriptor, table
    return -1, {}


def _compiled(modules: Sequence[tuple[str, ModuleType]]) -> dict[str, tuple[bool, bytes]]:
    """The `.pyc` of each module of stormc that no bundle gave."""
    compiled = {}
    for name, module in modules:
        if not name.startswith("stormc.") or name == __name__:
            continue
        spec = module.__spec__
        if spec is None or type(spec.loader) is not SourceFileLoader:
            continue
        package = spec.submodule_search_locations is not None
        with suppress(OSError), open(_compiled_file(_source(name, package)), "rb") as file:
            entry = (package, file.read())
            if spec.origin == _source(name, package) and _fits(entry[1], spec.origin):
                compiled[name] = entry
    return compiled


def _source(name: str, package: bool) -> str:
    below = name.removeprefix("stormc.").replace(".", os.sep)
    return f"{_PACKAGE}{os.sep}{below}{os.sep}__init__.py" if package else f"{_PACKAGE}{os.sep}{below}.py"


def _compiled_file(source: str) -> str:
    directory, name = os.path.split(source)
    return f"{directory}{os.sep}__pycache__{os.sep}{name[:-3]}.{sys.implementation.cache_tag}.pyc"


def _fits(compiled: bytes, source: str) -> bool:
    """Whether a `.pyc` was made of the source as it is now, by the rule of importlib (PEP 552, by time)."""
    try:
        stat = os.stat(source)
    except OSError:
        return False
    return compiled[:4] == MAGIC_NUMBER and compiled[4:_HEAD] == b"".join(
        (number & 0xFFFFFFFF).to_bytes(4, "little") for number in (0, int(stat.st_mtime), stat.st_size)
    )


def script() -> NoReturn:
    """What the process runs: `main`, and then no tidying up of memory that the system takes back anyway.

    An eighth of the time of a short command, as mypy found too (mypy/util.py, hard_exit).
    """
    bundle = Bundle(os.path.join(_PACKAGE, "__pycache__", f"all.{sys.implementation.cache_tag}.bundle"))
    sys.meta_path.insert(0, bundle)
    from stormc.__main__ import main

    code = main()
    with suppress(OSError):
        sys.stderr.flush()
    if not sys.dont_write_bytecode and not sys.flags.optimize and sys.pycache_prefix is None:
        bundle.add(list(sys.modules.items()))
    os._exit(code)
