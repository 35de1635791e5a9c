"""What a branch does to be believed: a memory of a render that says that other manifests are right."""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from stormc.digest import digest
from stormc.tree.memory import FILE, Memory, memory_directory, recall
from tests.hostile.branch import checkout, git, honest, stormc, tree
from tests.remembered import read, text

MANIFEST = "rendered/a/stormservice-a.yaml"


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    root = tmp_path / "origin"
    root.mkdir()
    return honest(root)


def remembered(root: Path) -> Path:
    place = memory_directory(root / "rendered", root / "specs")
    assert place is not None
    return place / FILE


def forge(root: Path) -> bytes:
    """Changes a manifest, and returns a memory by which the changed one is right."""
    place = remembered(root)
    data = read(place)
    manifest = root / MANIFEST
    manifest.write_bytes(manifest.read_bytes().replace(b"image: ", b"image: evil.example/", 1))
    entry = data["apps"]["a.yaml"]
    entry[3]["a/stormservice-a.yaml"] = digest(manifest.read_bytes())
    entry[4] = ""
    return text(data)


def test_this_forgery_is_believed_where_only_the_user_writes(repository: Path) -> None:
    """So that the tests below test something: the forged memory itself is flawless."""
    forged = forge(repository)
    remembered(repository).write_bytes(forged)
    assert stormc(repository, "render", "--check").code == 0


def commit_memory(root: Path) -> None:
    text = forge(root)
    (root / ".stormc_cache").mkdir()
    (root / ".stormc_cache" / FILE).write_bytes(text)
    (root / ".stormc_cache/compiled.json").write_bytes(text.partition(b"\n")[2])


def test_a_committed_memory_is_an_error_and_is_not_believed(repository: Path, tmp_path: Path) -> None:
    clone = checkout(repository, commit_memory, tmp_path / "clone")
    before = tree(clone / "rendered")
    for words in (["render", "--check"], ["render"], ["validate"]):
        done = stormc(clone, *words)
        assert done.code == 1 and "E402" in done.out + done.err, words
    assert tree(clone / "rendered") == before
    git(clone, "rm", "-rq", "--cached", ".stormc_cache")
    stale = stormc(clone, "render", "--check")
    assert stale.code == 1 and f"change {MANIFEST}" in stale.out
    assert stormc(clone, "render").code == 0
    assert b"evil.example" not in (clone / MANIFEST).read_bytes()


def test_a_memory_left_over_from_an_older_stormc_is_no_matter(repository: Path) -> None:
    (repository / ".stormc_cache").mkdir()
    (repository / ".stormc_cache/compiled.json").write_text("{}")
    assert stormc(repository, "render", "--check").code == 0


@pytest.mark.parametrize("cache", [".cache", "specs"])
def test_a_cache_inside_the_work_tree_is_not_used(repository: Path, tmp_path: Path, cache: str) -> None:
    clone = tmp_path / "clone"
    place = clone / cache / "stormc" / digest(bytes(clone / "rendered"))

    def commit_cache(root: Path) -> None:
        text = forge(root)
        there = root / place.relative_to(clone)
        there.mkdir(parents=True)
        (there / FILE).write_bytes(text)

    checkout(repository, commit_cache, clone)
    place.chmod(0o700)
    place.parent.chmod(0o700)
    for home in (str(clone / cache), cache):
        done = stormc(clone, "render", "--check", XDG_CACHE_HOME=home)
        assert done.code == 1 and f"change {MANIFEST}" in done.out + done.err
    shutil.rmtree(clone / cache / "stormc")
    assert stormc(clone, "render", XDG_CACHE_HOME=str(clone / cache)).code == 0
    assert not place.parent.exists()


def test_without_a_place_for_a_memory_a_render_still_works(repository: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for home in (str(tmp_path / "file"), "/proc/none", "relative"):
        assert stormc(repository, "render", XDG_CACHE_HOME=home).code == 0
        assert stormc(repository, "render", "--check", XDG_CACHE_HOME=home).code == 0


VALUES: list[Any] = [
    None,
    True,
    0,
    -1,
    1.5,
    "",
    "x",
    [],
    {},
    [[]],
    {"a": 1},
    "\0",
    "../x",
    ["a"],
    [1, 2, 3, 4],
    10**30,
    "\ud800",
]


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Every place of a JSON value, depth first."""
    yield path
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield from places(inner, (*path, key))


def mutated(data: Any, pick: random.Random) -> Any:
    path = pick.choice([path for path in places(data) if path and path[0] != "compiler"])
    holder = data
    for step in path[:-1]:
        holder = holder[step]
    action = pick.random()
    if action < 0.7:
        holder[path[-1]] = pick.choice(VALUES)
    elif action < 0.85:
        del holder[path[-1]]
    elif isinstance(holder, dict):
        holder[str(pick.choice(VALUES))] = holder.pop(path[-1])
    else:
        holder.append(pick.choice(VALUES))
    return data


def is_well_formed(memory: Memory) -> bool:
    """An oracle of its own: the annotations of the record and of what it holds."""
    summary = memory.summary
    texts = [memory.digest, memory.stamp, summary.namespace, summary.name, summary.directory, summary.hardware,
             summary.file, summary.cluster, summary.model, *memory.hashes, *memory.hashes.values()]  # fmt: skip
    numbers = [summary.npus, summary.rollout_seconds, *summary.mark]
    inside = all(path.rsplit("/", 1)[0] == summary.directory for path in memory.hashes)
    return inside and {type(text) for text in texts} == {str} and {type(number) for number in numbers} == {int}


def test_a_damaged_memory_is_none_and_a_strange_one_has_the_right_shape(repository: Path) -> None:
    place = remembered(repository)
    sound = place.read_bytes()
    body = json.dumps(read(place))
    pick = random.Random(3)
    refused = 0
    for _ in range(1500):
        noise = bytearray(sound)
        for _ in range(pick.choice((1, 3, 10))):
            noise[pick.randrange(len(noise))] ^= pick.randrange(1, 256)
        place.write_bytes(noise[: pick.choice((len(noise), pick.randrange(len(noise))))])
        assert recall(place.parent).apps == {}
        place.write_bytes(text(mutated(json.loads(body), pick)))
        memories = recall(place.parent).apps
        assert all(is_well_formed(memory) for memory in memories.values())
        refused += not memories
    assert refused > 1000


def test_a_link_to_a_sound_memory_is_not_followed(repository: Path) -> None:
    place = remembered(repository)
    assert recall(place.parent).apps
    elsewhere = place.rename(repository / "memory-of-a-stranger")
    place.symlink_to(elsewhere)
    assert recall(place.parent).apps == {}
