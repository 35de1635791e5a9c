"""In a pod all files of the proxy lie in one directory, and its modules are found all the same."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from stormc.payload.objects import proxy_config_map, shared_objects
from stormc.payload.read import read_payload
from stormc_proxy.mounted import MountedFiles

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def pod(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with the ConfigMap mounted as the kubelet does it: a link per key, into a directory of its own."""
    payload = read_payload()
    (config_map,) = shared_objects(payload, "inference", (proxy_config_map(payload),))
    directory = tmp_path_factory.mktemp("pod") / "stormc_proxy"
    (directory / "..data").mkdir(parents=True)
    for key, text in config_map["data"].items():
        (directory / "..data" / key).write_text(text, encoding="utf-8")
        (directory / key).symlink_to(f"..data/{key}")
    return directory.parent


def python(pod: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(pod), "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run(
        [sys.executable, *arguments], cwd=pod, env=environment, capture_output=True, text=True, timeout=300, check=False
    )


def test_every_module_is_imported_from_the_mounted_directory(pod: Path) -> None:
    modules = [
        ".".join(("stormc_proxy", *path.relative_to(ROOT / "proxy/stormc_proxy").with_suffix("").parts))
        for path in (ROOT / "proxy/stormc_proxy").rglob("*.py")
        if path.stem not in ("__init__", "__main__")
    ]
    script = (
        "import importlib, sys\n"
        f"files = [importlib.import_module(name).__file__ for name in {modules!r}]\n"
        f"assert all(file.startswith({str(pod)!r}) for file in files), files\n"
        "from stormc_proxy.edge.pages import STATUS_PAGE\n"
        "print(len(files), STATUS_PAGE.read_text(encoding='utf-8')[:15])"
    )
    done = python(pod, "-c", script)
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"{len(modules)} <!doctype html>\n"


def test_the_pods_command_starts_it(pod: Path) -> None:
    done = python(pod, "-m", "stormc_proxy", "--help")
    assert done.returncode == 0 and "--prefiller-hosts" in done.stdout, done.stderr


def test_only_modules_of_the_package_that_are_there_are_found(tmp_path: Path) -> None:
    for name in ("__init__.py", "edge.__init__.py", "edge.server.py", "json.py"):
        (tmp_path / name).touch()
    finder = MountedFiles("stormc_proxy", tmp_path)
    found = {
        name: spec.origin and Path(spec.origin).name
        for name in ("stormc_proxy.edge", "stormc_proxy.edge.server", "stormc_proxy.edge.gone", "json", "stormc_proxy")
        if (spec := finder.find_spec(name))
    }
    assert found == {"stormc_proxy.edge": "edge.__init__.py", "stormc_proxy.edge.server": "edge.server.py"}
