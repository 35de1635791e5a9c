"""What `stormc diff` says of a change, and what AIBrix made of it: pods by role, order, how many at a time."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import pairwise
from math import floor
from pathlib import Path
from typing import Any, NamedTuple

from stormc.actions.comparing import committed_sources, diff
from stormc.payload.read import read_payload
from stormc.repository.repository import open_repository
from stormc.review.diff_report import as_json
from tests.e2e.live.kubelet import Happening
from tests.e2e.live.pairs import Pair

Manifests = Sequence[Mapping[str, Any]]
REPLACED = {"recreated", "routing_restarts", "new_role_set"}


class Pods(NamedTuple):
    """How many pods of a role stay, come and go."""

    kept: int
    new: int
    gone: int


class Prediction(NamedTuple):
    """What is said of one app: a row of `stormc diff --format json`, and the manifests of both sides."""

    pair: Pair
    row: Mapping[str, Any] | None
    before: Manifests
    after: Manifests

    def roles(self, app: str) -> list[Mapping[str, Any]]:
        """What is said of the roles of an app, which may be gone under that name, in the order that is predicted."""
        if self.row is None:
            return []
        if self.row["kind"] != "renamed":
            return list(self.row["roles"])
        what = "deleted" if app == named(self.before) else "created"
        return [role for role in self.row["roles"] if role["what"] == [what]]


def named(manifests: Manifests) -> str:
    """namespace/name of an app."""
    metadata = next(m["metadata"] for m in manifests if m["kind"] == "StormService")
    return f"{metadata['namespace']}/{metadata['name']}"


def git(directory: Path, *arguments: str) -> None:
    """Runs Git in a repository."""
    subprocess.run(["git", *arguments], cwd=directory, check=True, capture_output=True)


def predict(pairs: Sequence[Pair], aibrix: str, directory: Path) -> list[Prediction]:
    """Writes both sides of all pairs into a repository, one commit each, and asks what the second one does."""
    directory.mkdir()
    git(directory, "init", "-q", "-b", "main")
    for side in ("before", "after"):
        for pair in pairs:
            for path in directory.glob(f"specs/{pair.before.path.partition('/')[0]}/**/*.yaml"):
                path.unlink()
            for name, text in getattr(pair, side).files(aibrix).items():
                (directory / "specs" / name).parent.mkdir(parents=True, exist_ok=True)
                (directory / "specs" / name).write_text(text, encoding="utf-8")
        git(directory, "add", "-A")
        git(directory, "-c", "user.name=e2e", "-c", "user.email=e2e@localhost", "commit", "-qm", side)
    specs = directory / "specs"
    rows = json.loads(as_json(diff(specs, "HEAD~1", "HEAD", (), ())))["apps"]
    rendered = [_rendered(specs, commit) for commit in ("HEAD~1", "HEAD")]
    return [
        Prediction(
            pair, next((row for row in rows if row["after"] == f"{specs}/{pair.after.path}"), None),
            rendered[0][pair.before.path], rendered[1][pair.after.path],
        )
        for pair in pairs
    ]  # fmt: skip


def _rendered(specs: Path, commit: str) -> dict[str, Manifests]:
    repository, payload = open_repository(committed_sources(specs, commit)), read_payload()
    made = {source.path: repository.compile(source, payload).compiled for source in repository.apps}
    return {path: compiled.manifests for path, compiled in made.items() if compiled is not None}


def expected(role: Mapping[str, Any] | None, there: int) -> Pods:
    """The counts that a prediction means for a role of which so many pods are there; None says nothing of it."""
    if role is None:
        return Pods(there, 0, 0)
    pods = role["pods"]
    new = pods["recreated"] + pods["added"]
    gone = there if REPLACED & set(role["what"]) else pods["removed"]
    return Pods(there - gone, new, gone)


def seen(before: set[str], after: set[str]) -> Pods:
    """The counts that came of it."""
    return Pods(len(before & after), len(after - before), len(before - after))


def out_of_order(roles: Iterable[Mapping[str, Any]], happenings: Sequence[Happening], before: set[str]) -> str:
    """The first role whose old pods end before the new ones of an earlier role are ready; empty when there is none.

    Instances that a smaller number of replicas removes go at once, before any role is updated; their end is no update.
    """
    replaced = [role for role in roles if REPLACED & set(role["what"]) and not role["atOnce"]]
    for earlier, later in pairwise(replaced):
        ended = [n for n, h in enumerate(happenings) if h.what == "ending" and h.uid in before and _updated(h, later)]
        ready = [
            n for n, h in enumerate(happenings)
            if h.what == "ready" and h.role == earlier["role"] and h.uid not in before
        ]  # fmt: skip
        if ended and ready and ended[0] < ready[-1]:
            return f"{later['role']} was updated before {earlier['role']} was ready"
    return ""


def _updated(happening: Happening, role: Mapping[str, Any]) -> bool:
    """Whether it happened to an instance of the role that stays; pods without a number are taken for such."""
    staying: int = role["instances"]["after"]
    return bool(happening.role == role["role"]) and int(happening.slot or 0) < staying


def fewest_ready(happenings: Iterable[Happening], role: str, start: Mapping[str, str], size: int) -> int:
    """The smallest number of instances of a role that had all pods ready at a time.

    `start` are the ready pods before, with the instance that each belongs to; an instance of new pods has `size` of
    them. An instance counts once it was ready.
    """
    old, new = dict(start), dict[str, str]()
    sizes = {slot: list(start.values()).count(slot) for slot in start.values()}

    def ready() -> int:
        whole = {slot for slot in sizes if list(old.values()).count(slot) >= sizes[slot]}
        return len(whole | {slot for slot in sizes if list(new.values()).count(slot) >= size})

    fewest = ready()
    for h in happenings:
        if h.role != role:
            continue
        if h.what == "ready":
            (old if h.uid in start else new)[h.uid] = h.slot
        elif any(up.pop(h.uid, None) is not None for up in (old, new)):
            fewest = min(fewest, ready())
    return fewest


def least(role: Mapping[str, Any]) -> int:
    """How many instances stay ready while a role is updated, as predicted."""
    staying: int = min(role["instances"]["before"], role["instances"]["after"])
    away: float = role["away"]
    return floor(staying * (1 - away) + 1e-6)


def size_of(manifests: Manifests, role: str) -> int:
    """The pods of an instance of a role."""
    storm = next(m for m in manifests if m["kind"] == "StormService")
    sizes = {each["name"]: each.get("podGroupSize") or 1 for each in storm["spec"]["template"]["spec"]["roles"]}
    return int(sizes.get(role, 1))


def roles_of(manifests: Manifests) -> Iterator[str]:
    """The roles of an app."""
    storm = next(m for m in manifests if m["kind"] == "StormService")
    yield from (role["name"] for role in storm["spec"]["template"]["spec"]["roles"])
