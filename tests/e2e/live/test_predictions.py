"""Predictions against reality: `stormc diff` says what a change does to running pods, and AIBrix does it."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import pytest

from stormc.cluster.owner import owned
from stormc.cluster.removal import remove
from stormc.facts.keys import Label
from tests.e2e.live.chosen_pairs import chosen_pairs
from tests.e2e.live.cluster import LiveCluster
from tests.e2e.live.control_plane import eventually
from tests.e2e.live.kubelet import Happening, is_ready, label
from tests.e2e.live.pairs import CHANGES, Pair, as_pair, draw_pairs
from tests.e2e.live.predictions import (
    Prediction,
    expected,
    fewest_ready,
    least,
    named,
    out_of_order,
    predict,
    roles_of,
    seen,
    size_of,
)  # fmt: skip
from tests.e2e.summary import record

PAIRS, SEED = int(os.environ.get("PAIRS") or 24), int(os.environ.get("SEED") or 1)
AGAIN, WRONG = bool(os.environ.get("AGAIN")), "stormc/wrong_pairs"
"""`AGAIN=1` plays the wrong pairs of the last run; pytest's cache has them under this name."""
BATCH, WORKERS = 24, 6
QUIET_SECONDS = 1.0
"""A namespace in which nothing happened for so long is looked at; the end of the batch looks again."""
CHURN = 20
"""Pods that are created in a fight of two controllers before it counts as one."""

Uids = dict[str, set[str]]


class Outcome(NamedTuple):
    """What a change did: the pods of each role of each app before and after, and what is wrong with the prediction."""

    prediction: Prediction
    after: dict[str, Uids]
    wrong: tuple[str, ...]


def test_what_diff_says_is_what_aibrix_does(live: LiveCluster, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    cache, key = request.config.cache, f"{WRONG}/{live.release.label}"
    assert cache is not None
    pairs = list(map(as_pair, cache.get(key, []))) if AGAIN else draw_pairs(PAIRS, live.platform_release, SEED)
    assert pairs and (AGAIN or len(pairs) == PAIRS)
    times = Counter(kind for pair in pairs for kind in pair.changes)
    rarest = min(times[kind] for kind in CHANGES)
    assert AGAIN or 5 * len(CHANGES) > PAIRS or rarest > 0, times
    wrong = play(live, pairs, tmp_path)
    cache.set(key, [pair for pair, _ in wrong])
    record(
        live.release,
        "predictions",
        f"{len(pairs) - len(wrong)} of {len(pairs)} right, seed {SEED}; "
        f"{len(CHANGES)} kinds of change, the rarest {rarest} times",
    )
    assert not wrong, "\n".join(line for _, lines in wrong for line in lines)


def test_changes_that_a_draw_meets_seldom(live: LiveCluster, tmp_path: Path) -> None:
    pairs = chosen_pairs()
    wrong = play(live, pairs, tmp_path)
    record(live.release, "chosen changes", f"{len(pairs) - len(wrong)} of {len(pairs)} right")
    assert not wrong, "\n".join(line for _, lines in wrong for line in lines)


def play(live: LiveCluster, pairs: Sequence[Pair], directory: Path) -> list[tuple[Pair, list[str]]]:
    """Makes every change on the cluster; what is wrong with the predictions that are wrong."""
    wrong: list[tuple[Pair, list[str]]] = []
    for start in range(0, len(pairs), BATCH):
        predictions = predict(pairs[start : start + BATCH], live.platform_release, directory / str(start))
        with ThreadPoolExecutor(WORKERS) as pool:
            outcomes = list(pool.map(lambda prediction: watch(live, prediction), predictions))
        for outcome in outcomes:
            if differences := [*outcome.wrong, *later(live, outcome)]:
                line = told(outcome.prediction)
                wrong.append((outcome.prediction.pair, [f"{line}: {each}" for each in differences]))
        for outcome in outcomes:
            clear(live, outcome.prediction)
    return wrong


def parts(app: str) -> tuple[str, str]:
    """The namespace and the name of an app."""
    namespace, _, name = app.partition("/")
    return namespace, name


def told(prediction: Prediction) -> str:
    """A line that finds the pair again."""
    pair = prediction.pair
    return f"seed {SEED} pair {pair.before.path} ({', '.join(pair.changes)})"


def watch(live: LiveCluster, prediction: Prediction) -> Outcome:
    """Brings the app of before to the cluster, then that of after, and compares what came of it."""
    before, after = named(prediction.before), named(prediction.after)
    for namespace in {app.partition("/")[0] for app in (before, after)}:
        live.namespace(namespace)
    live.apply(prediction.before)
    live.until_ready(*parts(before))
    there, mark = uids(live, prediction), live.kubelet.mark()
    slots = {role: ready_slots(live, before, role) for role in roles_of(prediction.before)}
    live.apply(prediction.after)
    if before != after:
        namespace, name = parts(before)
        remove(live.cluster, namespace, owned(live.cluster, namespace, name), lambda line: None)
    fight = any("cannot_change" in role["what"] for role in prediction.roles(after))
    wrong = list(fought(live, after, mark) if fight else settled(live, prediction, there))
    happened = happenings(live, after, mark)
    if before == after and not fight:
        every = set().union(*there[after].values())
        wrong += filter(None, [out_of_order(prediction.roles(after), happened, every)])
        wrong += too_few(prediction, after, happened, slots)
    return Outcome(prediction, {} if fight else uids(live, prediction), tuple(wrong))


def uids(live: LiveCluster, prediction: Prediction) -> dict[str, Uids]:
    """The pods of every role of the app under its old and its new name."""
    apps = {named(prediction.before), named(prediction.after)}
    roles = {*roles_of(prediction.before), *roles_of(prediction.after)}
    return {app: {role: live.uids(*parts(app), role) for role in roles} for app in apps}


def ready_slots(live: LiveCluster, app: str, role: str) -> dict[str, str]:
    """The ready pods of a role with the number of their instance."""
    pods = live.kubelet.pods(*parts(app), role)
    return {pod["metadata"]["uid"]: label(pod, Label.ROLE_REPLICA) for pod in pods if is_ready(pod)}


def happenings(live: LiveCluster, app: str, mark: int) -> list[Happening]:
    """What happened to the app's pods since."""
    return [h for h in live.kubelet.happenings[mark:] if f"{h.namespace}/{h.app}" == app]


def settled(live: LiveCluster, prediction: Prediction, there: dict[str, Uids]) -> Iterator[str]:
    """Waits until the app is ready and all is as predicted; what is not, when it does not come to that."""
    app = named(prediction.after)

    def done() -> bool:
        live.kubelet.check()
        if live.problem(*parts(app)) or any(differing(live, prediction, there)):
            return False
        return all(live.kubelet.quiet_for(each.partition("/")[0]) >= QUIET_SECONDS for each in there)

    try:
        eventually(done, "")
    except AssertionError:
        yield from differing(live, prediction, there)
        if problem := live.problem(*parts(app)):
            yield f"{app} is not ready: {problem}"


def differing(live: LiveCluster, prediction: Prediction, there: dict[str, Uids]) -> Iterator[str]:
    """The roles of which other pods stay, come or go than predicted."""
    now = uids(live, prediction)
    for app, roles in there.items():
        said = {role["role"]: role for role in prediction.roles(app)}
        for role, before in roles.items():
            want, came = expected(said.get(role), len(before)), seen(before, now[app][role])
            if want != came:
                what = said[role]["what"] if role in said else "nothing said"
                yield f"{app} {role} {what}: expected {want}, came {came}"


def too_few(
    prediction: Prediction, app: str, happened: Sequence[Happening], slots: dict[str, dict[str, str]]
) -> Iterator[str]:
    """Roles of which fewer instances were ready at a time than predicted."""
    for role in prediction.roles(app):
        staying = min(role["instances"]["before"], role["instances"]["after"])
        start = {uid: slot for uid, slot in slots.get(role["role"], {}).items() if int(slot) < staying}
        ready = fewest_ready(happened, role["role"], start, size_of(prediction.after, role["role"]))
        if ready < least(role):
            yield f"{role['role']} {role['what']}: {ready} of {staying} instances ready, predicted {least(role)}"


def fought(live: LiveCluster, app: str, mark: int) -> Iterator[str]:
    """Waits for a fight of controllers; says where there is none."""
    try:
        eventually(lambda: len([h for h in happenings(live, app, mark) if h.what == "created"]) >= CHURN, "")
    except AssertionError:
        yield f"{app}: no fight, {len(happenings(live, app, mark))} happenings"


def later(live: LiveCluster, outcome: Outcome) -> Iterator[str]:
    """What is not any more as it was when the prediction came true."""
    if outcome.after and not outcome.wrong and uids(live, outcome.prediction) != outcome.after:
        yield "other pods at the end of the batch"


def clear(live: LiveCluster, prediction: Prediction) -> None:
    """Takes both apps off the cluster, and waits until their pods are gone."""
    for app in {named(prediction.before), named(prediction.after)}:
        namespace, name = parts(app)
        remove(live.cluster, namespace, owned(live.cluster, namespace, name), lambda line: None)
    for app in {named(prediction.before), named(prediction.after)}:
        eventually(lambda app=app: not live.uids(*parts(app)), f"pods of {app} stay")  # type: ignore[misc]
