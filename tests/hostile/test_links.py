"""Links and devices where stormc reads and writes: nothing outside of the output is touched, and nothing waits."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.hostile.branch import checkout, honest, stormc, tree, write

Attack = Callable[[Path, Path], object]


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    root = tmp_path / "origin"
    root.mkdir()
    return honest(root)


@pytest.fixture
def victim(tmp_path: Path) -> Path:
    """A directory of the user outside of the repository."""
    home = tmp_path / "home"
    (home / "staging").mkdir(parents=True)
    (home / "staging/0").write_text("mine")
    (home / "keys").write_text("ssh-ed25519 AAAA")
    (home / "compiled.json").write_text("mine")
    return home


def replaced(path: Path) -> Path:
    path.unlink()
    return path


MANIFEST = "rendered/a/stormservice-a.yaml"


def moved(path: Path) -> Path:
    path.rename(path.with_name("elsewhere"))
    return path


def state(root: Path, name: str, target: Path | str) -> None:
    (root / ".stormc_cache").mkdir()
    (root / ".stormc_cache" / name).symlink_to(target)


# name → what the branch commits, given its work tree and the user's directory, and the exit code of render
ATTACKS: dict[str, tuple[Attack, int]] = {
    "the lock of the old memory": (lambda root, home: state(root, "lock", home / "keys"), 1),
    "its .gitignore": (lambda root, home: state(root, ".gitignore", home / "new"), 1),
    "its staging directory": (lambda root, home: state(root, "staging", home), 1),
    "its file, a device": (lambda root, home: state(root, "compiled.json", "/dev/zero"), 1),
    "the whole old memory": (lambda root, home: (root / ".stormc_cache").symlink_to(home), 1),
    "the output": (lambda root, home: moved(root / "rendered").symlink_to(home), 2),
    "the output, leading nowhere": (lambda root, home: moved(root / "rendered").symlink_to(home / "new"), 2),
    "a directory of an app": (lambda root, home: moved(root / "rendered/a").symlink_to(home), 1),
    "a manifest": (lambda root, home: replaced(root / MANIFEST).symlink_to(home / "keys"), 1),
    "a manifest, a device": (lambda root, home: replaced(root / MANIFEST).symlink_to("/dev/zero"), 1),
    "a foreign file, a device": (lambda root, home: (root / "rendered/a/other.yaml").symlink_to("/dev/zero"), 1),
    "a staging directory": (lambda root, home: (root / ".stormc-staging-0123").symlink_to(home / "staging"), 0),
    "specs": (lambda root, home: (root / "specs/c.yaml").symlink_to("/dev/zero"), 1),
}  # fmt: skip


@pytest.mark.parametrize("case", ATTACKS)
def test_nothing_outside_the_output_changes(repository: Path, tmp_path: Path, victim: Path, case: str) -> None:
    attack, code = ATTACKS[case]
    clone = checkout(repository, lambda root: attack(root, victim), tmp_path / "clone")
    spec = clone / "specs/a.yaml"
    spec.write_text(spec.read_text() + "port: 9123\n")  # so that there is something to write
    before = tree(victim)
    assert stormc(clone, "render", "--check").code == (code or 1)
    assert stormc(clone, "render").code == code
    assert tree(victim) == before


def test_a_large_file_in_the_output_is_not_read(repository: Path) -> None:
    with (repository / MANIFEST).open("r+b") as file:
        file.truncate(1 << 40)  # a hole: a terabyte that takes no disk
    assert stormc(repository, "render", "--check").code == 1
    assert stormc(repository, "render").code == 0
    assert (repository / MANIFEST).stat().st_size < 1 << 20


def test_a_killed_render_s_staging_directory_is_removed_and_other_things_of_that_name_stay(repository: Path) -> None:
    left, foreign = repository / ".stormc-staging-1", repository / ".stormc-staging-2"
    (left / "0").mkdir(parents=True)
    (left / "0/service-a.yaml").write_text("half a fi")
    foreign.mkdir()
    (foreign / "notes").write_text("mine")
    (foreign / "1").symlink_to("../specs")
    (foreign / "2").mkdir()
    (foreign / "2/notes").write_text("mine")
    assert stormc(repository, "render").code == 0
    assert not left.exists() and tree(foreign).keys() == {"notes", "2/notes"}
    assert (foreign / "1").is_symlink() and (repository / "specs/a.yaml").is_file()


def link_to(path: Path, target: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.symlink_to(target)


# name → the link that the branch commits, where it leads to below the user's directory, and the command
WRITERS: dict[str, tuple[str, str, list[str]]] = {
    "fmt of a link": ("specs/l.yaml", "l.yaml", ["fmt", "specs/l.yaml"]),
    "fmt below a link": ("specs/d", "d", ["fmt", "specs/d/l.yaml"]),
    "fmt of everything": ("specs/l.yaml", "l.yaml", ["fmt"]),
    "import over a link": ("new/llm.yaml", "l.yaml", ["import", "c.yaml", "--out", "new", "--force"]),
    "import below a link": ("new", "d", ["import", "c.yaml", "--out", "new", "--force"]),
    "init below a link": ("specs2", "d", ["init", "n", "--hardware", "atlas-800i-a2", "--specs", "specs2"]),
    "promote below a link": ("specs/a.yaml", "l.yaml", ["promote", "a", "--from", "specs", "--to", "specs"]),
}


@pytest.mark.parametrize("case", WRITERS)
def test_no_command_writes_through_a_link(repository: Path, tmp_path: Path, victim: Path, case: str) -> None:
    path, leads, words = WRITERS[case]
    text = (repository / "specs/a.yaml").read_text().replace("name: a", "name:   llm", 1)
    for name in ("l.yaml", "d/l.yaml"):
        write(victim, name, text)
    write(repository, "c.yaml", (repository / MANIFEST).read_text())
    if (repository / path).exists():
        (repository / path).unlink()
    link_to(repository / path, victim / leads)
    before = tree(victim)
    assert stormc(repository, *words).code in (1, 2)
    assert tree(victim) == before


def test_a_link_inside_of_specs_is_formatted_where_it_leads(repository: Path) -> None:
    (repository / "specs/l.yaml").symlink_to("a.yaml")
    text = (repository / "specs/a.yaml").read_text()
    (repository / "specs/a.yaml").write_text(text.replace("name: a", "name:   a", 1))
    assert stormc(repository, "fmt").code == 0
    assert (repository / "specs/l.yaml").is_symlink()
    assert "name: a\n" in (repository / "specs/a.yaml").read_text()


@pytest.mark.parametrize("verb", ["validate", "fmt", "render", "diff", "capacity", "policy export --vap"])
@pytest.mark.parametrize("target", ["..", "../home", "/etc"])
def test_specs_that_are_a_link_elsewhere_are_not_read(repository: Path, victim: Path, verb: str, target: str) -> None:
    write(victim, "l.yaml", (repository / "specs/a.yaml").read_text().replace("name: a", "name:   l", 1))
    moved(repository / "specs").symlink_to(target)
    before = tree(victim)
    done = stormc(repository, *verb.split())
    assert done.code == 2 and done.out == "" and ("link" in done.err or verb in ("render", "diff")), done
    assert tree(victim) == before


def test_specs_that_are_a_link_within_the_repository_are_read(repository: Path) -> None:
    moved(repository / "specs").symlink_to("elsewhere")
    assert stormc(repository, "validate").code == 0


def test_specs_that_are_a_link_to_itself_are_no_directory(repository: Path) -> None:
    moved(repository / "specs").symlink_to("specs")
    for words in ("validate", "fmt", "import rendered/a/stormservice-a.yaml --out specs"):
        done = stormc(repository, *words.split())
        assert done.code == 2 and "internal error" not in done.err, done
