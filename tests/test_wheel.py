"""What people install: a wheel of the two packages, in an environment of its own, beside a stranger called `proxy`."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from importlib.metadata import files
from pathlib import Path

import pytest

from tests.own_repository import walk

ROOT = Path(__file__).parents[1]
SOURCES = {"stormc": ROOT / "compiler/stormc", "stormc_proxy": ROOT / "proxy/stormc_proxy"}


def run(*words: str | Path, work: Path) -> subprocess.CompletedProcess[str]:
    """Runs a program that must end well, without this checkout on its path."""
    environment = {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "VIRTUAL_ENV")}
    environment["XDG_CACHE_HOME"] = str(work / ".cache")
    done = subprocess.run([*map(str, words)], cwd=work, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, f"{words}: {done.stdout}{done.stderr}"
    return done


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of a copy of the sources, built by the build backend of the development environment: no download."""
    copy = tmp_path_factory.mktemp("sources")
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, copy)
    for name in ("compiler", "proxy", "tests"):
        shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__", "cases", "tools"))
    run(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", copy / "dist", copy, work=copy)
    (made,) = (copy / "dist").iterdir()
    return made


@pytest.fixture(scope="module")
def python(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of a new environment with the wheel and PyPI's proxy.py; dependencies are those of this one."""
    environment = tmp_path_factory.mktemp("environment")
    run(sys.executable, "-m", "venv", "--without-pip", environment, work=environment)
    interpreter = environment / "bin/python"
    run(sys.executable, "-m", "pip", "--python", interpreter, "install", "-q", "--no-deps", "--no-index", wheel,
        work=environment)  # fmt: skip
    (packages,) = environment.glob("lib/python*/site-packages")
    here = Path(sysconfig.get_path("purelib"))
    for file in files("proxy.py") or ():
        if ".." not in file.parts:  # the command, outside of the packages
            target = packages / file
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(here / file, target)
    # A directory that a path file names is searched last, and path files in it count for nothing: not this checkout.
    (packages / "dependencies.pth").write_text(f"{here}\n")
    return interpreter


def test_the_wheel_holds_two_packages_with_all_their_files(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        inside = {name for name in archive.namelist() if not name.endswith("/")}
    assert {name.split("/")[0].partition("-")[0] for name in inside} == {"stormc", "stormc_proxy"}
    for package, directory in SOURCES.items():
        ours = {path.relative_to(directory).as_posix() for path in directory.rglob("*") if path.is_file()}
        ours = {f"{package}/{path}" for path in ours if "__pycache__" not in path}
        assert ours == {name for name in inside if name.startswith(f"{package}/")}


def test_setuptools_is_needed_to_build_only(python: Path) -> None:
    needed = run(python, "-c", "from importlib.metadata import requires; print(requires('stormc'))", work=python.parent)
    assert "pyyaml" in needed.stdout and "setuptools" not in needed.stdout


def test_it_renders_what_the_checkout_renders(python: Path, tmp_path: Path) -> None:
    trees = []
    for name, interpreter in (("wheel", python), ("checkout", Path(sys.executable))):
        work = tmp_path / name
        shutil.copytree(ROOT / "specs", work / "specs")
        run(interpreter, "-m", "stormc", "render", work=work)
        rendered = work / "rendered"
        trees.append({p.relative_to(rendered): p.read_bytes() for p in rendered.rglob("*") if p.is_file()})
    assert len(trees[0]) > 40 and trees[0] == trees[1]


def test_the_modules_are_those_of_the_wheel(python: Path, tmp_path: Path) -> None:
    code = "import stormc, stormc_proxy, proxy; print(stormc.__file__, stormc_proxy.__file__, proxy.__file__)"
    places = run(python, "-c", code, work=tmp_path).stdout.split()
    environment = str(python.parents[1])
    assert len(places) == 3 and all(place.startswith(environment) for place in places)
    proxy = Path(places[2]).read_text()
    assert "stormc" not in proxy, "a stranger's package"


@pytest.mark.parametrize(("words", "said"), [
    (("-m", "stormc", "--help"), "usage: stormc"),
    (("-m", "stormc", "rule", "E036"), "E036"),
    (("-m", "stormc", "profiles"), "atlas-900-a3-superpod"),
    (("-m", "stormc_proxy", "--help"), "usage:"),
])  # fmt: skip
def test_both_modules_run(python: Path, tmp_path: Path, words: tuple[str, ...], said: str) -> None:
    assert said in run(python, *words, work=tmp_path).stdout


def test_the_walk_through_a_repository_of_ones_own(python: Path, tmp_path: Path) -> None:
    walk(tmp_path, python.parent)


def test_the_command_runs(python: Path, tmp_path: Path) -> None:
    assert run(python.parent / "stormc", "--version", work=tmp_path).stdout.startswith("stormc ")
