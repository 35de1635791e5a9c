"""The one file of compiled modules: used where it fits the sources, and never in the way."""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from stormc import start

ROOT = Path(__file__).parent.parent
TEXT = "write a first valid spec"
Package = Path


@pytest.fixture
def package(tmp_path: Path) -> Package:
    """A copy of the compiler without anything compiled."""
    copy = tmp_path / "stormc"
    shutil.copytree(ROOT / "compiler/stormc", copy, ignore=shutil.ignore_patterns("__pycache__"))
    return copy


def started(package: Package, *options: str, word: str = "--help", **environment: str) -> tuple[str, str]:
    """What `stormc --help`, or a verb, writes: standard output, standard error."""
    kept = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
    program = "from stormc.start import script; script()"
    run = subprocess.run(
        [sys.executable, *options, "-c", program, word],
        env={**kept, "PYTHONPATH": str(package.parent), **environment},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    return run.stdout, run.stderr


def bundle_of(package: Package) -> Path:
    return package / f"__pycache__/all.{sys.implementation.cache_tag}.bundle"


def read_from_pyc(log: str, module: str = "stormc/phrase.py") -> bool:
    """Whether Python, told to log its imports, found this module by itself."""
    return any("matches" in line and line.endswith(module) for line in log.splitlines())


def test_modules_come_from_the_bundle_from_the_second_start_on(package: Package) -> None:
    first, _ = started(package)
    written = bundle_of(package).read_bytes()
    second, log = started(package, "-v")
    assert TEXT in first and second == first
    assert not read_from_pyc(log)
    bundle_of(package).unlink()
    assert read_from_pyc(started(package, "-v")[1])
    assert bundle_of(package).read_bytes() == written


def test_a_changed_source_counts_at_once(package: Package) -> None:
    started(package)
    for text in ("write the first spec of all", "write the first spec of any"):  # of equal length: the time tells
        source = package / "__main__.py"
        before = source.stat().st_mtime
        source.write_text(source.read_text().replace(TEXT, text).replace("write the first spec of all", text))
        os.utime(source, (before + 5, before + 5))
        assert text in started(package)[0]
        output, log = started(package, "-v")
        assert text in output and not read_from_pyc(log)


def test_modules_of_other_packages_come_from_it_too(package: Package) -> None:
    assert read_from_pyc(started(package, "-v")[1], "/argparse.py")
    output, log = started(package, "-v")
    assert TEXT in output and not read_from_pyc(log, "/argparse.py")


def test_a_module_that_lies_before_is_the_one_that_counts(package: Package) -> None:
    started(package)
    written = bundle_of(package).read_bytes()
    another = package.parent / "another"
    another.mkdir()
    output, log = started(package, "-v", PYTHONPATH=f"{another}:{package.parent}")
    assert TEXT in output and not read_from_pyc(log, "/argparse.py")
    (another / "argparse.py").write_text((Path(argparse.__file__)).read_text().replace("usage: ", "use: "))
    output, log = started(package, "-v", PYTHONPATH=f"{another}:{package.parent}")
    assert output.startswith("use: ") and not read_from_pyc(log)
    assert bundle_of(package).read_bytes() == written


def test_what_is_known_is_not_written_again(package: Package) -> None:
    for word in ("profiles", "--help", "profiles"):  # profiles are YAML, whose package is loaded in its own way
        started(package, word=word)
    written = bundle_of(package).stat()
    for word in ("profiles", "--help"):
        started(package, word=word)
    assert os.path.samestat(bundle_of(package).stat(), written)


@pytest.mark.parametrize("damage", [b"", b"\0", b"\xff" * 4, b"x" * 100_000, b"i\x01\0\0\0\x05\0\0\0", None])
def test_a_damaged_file_is_none_and_is_written_anew(package: Package, damage: bytes | None) -> None:
    good, _ = started(package)
    written = bundle_of(package).read_bytes()
    bundle_of(package).write_bytes(written[: len(written) // 2] if damage is None else damage)
    assert started(package)[0] == good
    assert bundle_of(package).read_bytes() == written


def test_code_of_another_directory_is_not_used(package: Package) -> None:
    started(package)
    moved = shutil.copytree(package, package.parent / "new/stormc")
    shutil.rmtree(package)
    output, log = started(moved, "-v")
    assert TEXT in output and read_from_pyc(log)


def test_a_module_without_source_does_not_live_on(package: Package) -> None:
    started(package)
    (package / "commands/columns.py").unlink()
    with pytest.raises(subprocess.CalledProcessError):
        started(package)


def test_an_installation_that_is_read_only_has_all_modules_in_a_file_made_before(package: Package) -> None:
    environment = {**os.environ, "PYTHONPATH": str(package.parent), "PYTHONDONTWRITEBYTECODE": "1"}
    subprocess.run([sys.executable, "-m", "stormc.start"], env=environment, check=True)
    assert [file.name for file in package.rglob("*.pyc")] == []
    made = bundle_of(package).read_bytes()
    bundle_of(package).parent.chmod(0o500)
    output, log = started(package, "-v", PYTHONDONTWRITEBYTECODE="1")
    assert TEXT in output and not read_from_pyc(log) and not read_from_pyc(log, "/argparse.py")
    assert bundle_of(package).read_bytes() == made
    written = start.Bundle(str(bundle_of(package))).places
    assert {name for name, *_ in start._all_modules()} == {name for name in written if name.startswith("stormc.")}
    assert {"git.cmd", "argparse", "json.decoder", "yaml.error"} <= written.keys()


def test_a_path_is_an_address_without_the_module_that_pathlib_waits_for() -> None:
    program = "from stormc.start import _import_pathlib; _import_pathlib(); import pathlib\n"
    program += "import sys; print('urllib.parse' in sys.modules); print(pathlib.Path('/a b').as_uri())"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "False\nfile:///a%20b\n"


def test_where_nothing_may_be_written_nothing_is(package: Package) -> None:
    assert TEXT in started(package, PYTHONDONTWRITEBYTECODE="1")[0]
    assert not (package / "__pycache__").exists()
    (package / "__pycache__").mkdir(mode=0o500)
    assert TEXT in started(package, "-O")[0]
    assert not bundle_of(package).exists()
