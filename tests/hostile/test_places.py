"""What a branch can put where stormc reads or writes: links, pipes, devices, directories for files and the reverse.

Every thing is put at every place, and one of the verbs looks at it, in turns, so that every verb meets every thing, and
every place many verbs. None fails in another way than it says, waits, reads out what a link leads to, or changes
anything but what it is for.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import signal
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.hostile.branch import Done, git, honest, stormc, write
from tests.hostile.output import obeyed, own
from tests.samples import spec_text

Put = Callable[[Path, Path], object]
SECRET = "ssh-ed25519 AAAA"


def link(target: Callable[[Path, Path], Path | str]) -> Put:
    return lambda place, home: place.symlink_to(target(place, home))


def hole(place: Path, _: Path) -> None:
    place.touch()
    os.truncate(place, 1 << 38)


# name → what puts it at a place, given the user's directory outside of the repository
THINGS: dict[str, Put] = {
    "a link to a file": link(lambda place, home: home / "keys"),
    "a link to a spec": link(lambda place, home: home / "l.yaml"),
    "a link to a directory": link(lambda place, home: home / "d"),
    "a link to nothing": link(lambda place, home: home / "new"),
    "a link to itself": link(lambda place, home: place.name),
    "a link upwards": link(lambda place, home: ".."),
    "a link to a device": link(lambda place, home: "/dev/zero"),
    "a pipe": lambda place, home: os.mkfifo(place),
    "a socket": lambda place, home: os.mknod(place, stat.S_IFSOCK | 0o600),
    "a directory": lambda place, home: place.mkdir(),
    "a file that is no YAML": lambda place, home: place.write_bytes(bytes(range(256))),
    "a file of terabytes": hole,
}
PLACES = (
    "specs", "specs/a.yaml", "specs/new.yaml", "specs/platform.yaml", "specs/team", "specs/prod/a.yaml", "rendered",
    "rendered/a", "rendered/a/stormservice-a.yaml", "rendered/a/new.yaml", "rendered/_shared", "rendered/_gitops",
    ".stormc_cache", ".stormc-staging-1", ".gitattributes", ".gitignore", ".pre-commit-config.yaml", ".github",
    "schema", "out", "out/a/stormservice-a.yaml", "new", "new/llm.yaml", "config.yaml", "crd.yaml", "plat.yaml",
)  # fmt: skip
# the words of a verb, and below which paths it may change something
VERBS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("validate", ()),
    ("render --check", ()),
    ("render", ("rendered", ".stormc-staging")),
    ("validate --changed --base HEAD", ()),
    ("render --out out", ("out", ".stormc-staging")),
    ("diff --base HEAD --compiler-base", ()),
    ("fmt", ("specs",)),
    ("import config.yaml --out specs --force", ("specs",)),
    ("explain a", ()),
    ("promote a --from . --to prod", ("specs/prod",)),
    ("init x --hardware atlas-800i-a2", ("specs",)),
    ("import config.yaml --out new --specs new", ("new",)),
    ("init x --hardware atlas-800i-a2 --repo .", ("",)),
    ("validate --crd crd.yaml", ()),
    ("deploy a --dry-run client", ()),
    ("policy export --vap", ()),
    ("fmt specs/a.yaml", ("specs",)),
    ("profiles", ()),
    ("explain rendered/a/stormservice-a.yaml:20", ()),
    ("preflight --write-platform plat.yaml", ("plat.yaml",)),
    ("render --check --staged", ()),
    ("capacity", ()),
    ("status a", ()),
)


@pytest.fixture(scope="module")
def origin(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A committed repository with platform files, teams, a rendered tree and a manifest to import."""
    root = honest(tmp_path_factory.mktemp("origin"))
    for path in ("specs/platform.yaml", "specs/team/platform.yaml"):
        write(root, path, "apiVersion: stormc.dev/v1\nkind: Platform\n")
    write(root, "specs/team/c.yaml", spec_text("{name: c, model: {name: c}}"))
    write(root, "specs/prod/a.yaml", spec_text("{name: a, model: {name: p}, namespace: prod}"))
    assert stormc(root, "render").code == 0
    write(root, "config.yaml", (root / "rendered/a/stormservice-a.yaml").read_text())
    git(root, "add", "-A")
    git(root, "commit", "-qm", "more")
    return root


def everything(root: Path) -> Iterator[tuple[str, str]]:
    """Every path below a directory, and what is there; links are not followed."""
    for directory, directories, files in os.walk(root):
        for name in directories + files:
            path = Path(directory, name)
            mode, size = path.lstat().st_mode, path.lstat().st_size
            content = str(stat.S_IFMT(mode))
            if stat.S_ISLNK(mode):
                content = os.readlink(path)
            elif stat.S_ISREG(mode):
                content = hashlib.sha1(path.read_bytes()).hexdigest() if size < 1 << 20 else str(size)
            yield str(path.relative_to(root)), content


def user(home: Path) -> None:
    for path in ("l.yaml", "d/l.yaml", "d/a.yaml", "d/a/stormservice-a.yaml"):
        write(home, path, spec_text("{name: l, model: {name: l}}").replace("name: l", "name:   l", 1))
    write(home, "keys", SECRET)


def removed(place: Path) -> Path:
    if place.is_dir() and not place.is_symlink():
        shutil.rmtree(place)
    place.unlink(missing_ok=True)
    place.parent.mkdir(parents=True, exist_ok=True)
    return place


def watched(clone: Path, words: str) -> Done:
    """What a command says. One that waits for a pipe is ended, which fails the test."""

    def waits(*_: object) -> None:
        raise AssertionError(f"{words} waits")

    before = signal.signal(signal.SIGALRM, waits)
    signal.alarm(120)
    try:
        return stormc(clone, *words.split(), KUBECONFIG="/nowhere", STORMC_TRACEBACK="1")
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


@pytest.mark.parametrize("thing", THINGS)
def test_nothing_but_the_output_changes_whatever_lies_where(origin: Path, tmp_path: Path, thing: str) -> None:
    home = tmp_path / "home"
    user(home)
    untouched = dict(everything(home))
    for number, place in enumerate(PLACES):
        words, outputs = VERBS[(number + list(THINGS).index(thing) * 7) % len(VERBS)]
        if thing == "a pipe" and place in words:
            continue  # a person named it: <(kubectl get …) is one, and Git holds none
        clone = tmp_path / str(number)
        shutil.copytree(origin, clone, symlinks=True)
        THINGS[thing](removed(clone / place), home)
        before = dict(everything(clone))
        done = watched(clone, words)
        case = (place, words, done)
        assert done.code in (0, 1, 2) and "internal error" not in done.err and "Traceback" not in done.err, case
        assert SECRET not in done.out + done.err and obeyed(own(done)) == [], case
        assert dict(everything(home)) == untouched, case
        changed = {path for path, _ in before.items() ^ dict(everything(clone)).items() if path[:5] != ".git/"}
        assert [path for path in changed if not path.startswith(outputs or "/")] == [], case
