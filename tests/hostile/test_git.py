"""`validate --changed` asks Git about a branch; nothing of the branch may run, or be taken for Git's own files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.hostile.branch import checkout, git, honest, stormc, write

PWN = 'id > "{marker}"; false'


def five_files(below: str, setting: str) -> Callable[[Path], None]:
    """The files by which a directory is a bare repository, with a config that names a command."""

    def attack(root: Path) -> None:
        write(root, f"{below}/HEAD", "ref: refs/heads/main\n")
        write(root, f"{below}/objects/.keep", "")
        write(root, f"{below}/refs/heads/.keep", "")
        write(root, f"{below}/specs/.keep", "")
        command = PWN.format(marker=root.parent / "marker").replace('"', '\\"')
        config = (
            f'[core]\n\trepositoryformatversion = 0\n\tbare = false\n\tworktree = {below}\n\t{setting} = "{command}"\n'
        )
        write(root, f"{below}/config", config)

    return attack


ATTACKS = {
    "in specs": ("specs", "fsmonitor"),
    "below specs": ("specs/team", "fsmonitor"),
    "at the top": (".", "fsmonitor"),
    "a pager": ("specs", "pager"),
    "an ssh command": ("specs", "sshCommand"),
}


@pytest.mark.parametrize("case", ATTACKS)
def test_a_repository_inside_the_branch_is_none(tmp_path: Path, case: str) -> None:
    origin = tmp_path / "origin"
    origin.mkdir()
    below, setting = ATTACKS[case]
    clone = checkout(honest(origin), five_files(below, setting), tmp_path / "clone")
    for directory in (clone, clone / "specs", clone / below):
        for words in (["--changed"], ["--changed", "--base", "HEAD"], ["--changed", "--format", "github"]):
            assert stormc(directory, "validate", "--specs", str(clone / "specs"), *words).code == 0
            assert stormc(directory, "validate", "--specs", str(clone / below), *words).code in (0, 1)
    assert not (tmp_path / "marker").exists()


def test_the_attack_works_on_git_itself(tmp_path: Path) -> None:
    """So that the test above tests something: Git without its guard runs the command of these files."""
    origin = tmp_path / "origin"
    origin.mkdir()
    clone = checkout(honest(origin), five_files("specs", "fsmonitor"), tmp_path / "clone")
    git(clone / "specs", "-c", "safe.bareRepository=all", "ls-files", "--others")
    assert (tmp_path / "marker").exists()


def test_hooks_monitors_and_drivers_of_the_user_s_own_config_do_not_run(tmp_path: Path) -> None:
    origin = tmp_path / "origin"
    origin.mkdir()
    honest(origin)
    write(origin, ".gitattributes", "*.yaml diff=evil\n")
    program = tmp_path / "program"
    program.write_text(f'#!/bin/sh\ntouch "{tmp_path}/marker"\nexit 1\n')
    program.chmod(0o755)
    for key in ("core.fsmonitor", "diff.evil.command", "diff.evil.textconv", "diff.external"):
        git(origin, "config", key, str(program))
    (origin / ".git/hooks/post-index-change").write_bytes(program.read_bytes())
    (origin / ".git/hooks/post-index-change").chmod(0o755)
    write(origin, "specs/a.yaml", (origin / "specs/a.yaml").read_text() + "# more\n")
    done = stormc(origin, "validate", "--changed")
    assert done.code == 0 and "1 app" in done.err
    assert not (tmp_path / "marker").exists()


@pytest.mark.parametrize("name", ["a:b", "*", "[ab]", ":(top)", ":!x", "a\\b", "-x", "ünï"])
def test_names_of_directories_are_taken_literally(tmp_path: Path, name: str) -> None:
    origin = tmp_path / "origin"
    origin.mkdir()
    honest(origin)
    (origin / "specs").rename(origin / name)
    git(origin, "add", "-A")
    git(origin, "commit", "-qm", "moved")
    write(origin, f"{name}/a.yaml", (origin / name / "a.yaml").read_text() + "# more\n")
    done = stormc(origin, "validate", "--changed", f"--specs={name}")
    assert done.code == 0 and "1 app" in done.err
