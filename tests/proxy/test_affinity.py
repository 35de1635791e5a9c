"""Which prefill instance gets a prompt: the rule by itself, in the pool, and what is remembered and forgotten."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import partial

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stormc_proxy.fleet.affinity import LOST_TOKENS, MOST_OFFERS, Affinity, CachedTokens
from stormc_proxy.fleet.instance import Instance, prefill_load
from stormc_proxy.fleet.lease import Lease
from stormc_proxy.fleet.pool import Pool
from stormc_proxy.fleet.pool_policy import PoolPolicy
from stormc_proxy.fleet.prefill_choice import cheapest
from stormc_proxy.fleet.prompt_keys import Prompt, prompt_of
from stormc_proxy.fleet.shared_pool import shared_pool
from stormc_proxy.fleet.shared_table import SharedTable
from stormc_proxy.flow.body import Body
from stormc_proxy.flow.prefill import report_of
from stormc_proxy.settings import Address

WORK = partial(prefill_load, mode="layerwise")


@dataclass
class Candidate:
    name: str
    waits: int
    picked: int = 0


# -- the rule ----------------------------------------------------------------------------------------------------------

# queue of each instance, own work where part of the prompt is cached, work without a cache, weight → chosen
RULE: tuple[tuple[str, Mapping[str, int], Mapping[str, int], int, float, str], ...] = (
    ("nobody has anything: the shortest queue", {"a": 5, "b": 3, "c": 4}, {}, 10, 5, "b"),
    ("all idle: whoever has most", {"a": 0, "b": 0, "c": 0}, {"b": 8, "c": 3}, 10, 5, "c"),
    ("a queue shorter than the saving is worth: stays", {"a": 0, "b": 34}, {"b": 3}, 10, 5, "b"),
    ("a longer one: moves", {"a": 0, "b": 36}, {"b": 3}, 10, 5, "a"),
    ("weight 1 moves for the saving itself", {"a": 0, "b": 8}, {"b": 3}, 10, 1, "a"),
    ("a long queue at the best, a short one at the second", {"a": 0, "b": 90, "c": 9}, {"b": 1, "c": 6}, 10, 5, "c"),
    ("the least loaded has a part, too", {"a": 0, "b": 30}, {"a": 4, "b": 3}, 10, 5, "a"),
    ("at equal cost: picked longest ago", {"c": 0, "a": 0, "b": 0}, {"c": 3, "a": 3}, 10, 5, "a"),
)


@pytest.mark.parametrize(
    ("queues", "owns", "whole", "weight", "chosen"), [row[1:] for row in RULE], ids=[r[0] for r in RULE]
)
def test_rule(queues: Mapping[str, int], owns: Mapping[str, int], whole: int, weight: float, chosen: str) -> None:
    """Instances were picked in the order of their names."""
    candidates = {name: Candidate(name, queue, ord(name)) for name, queue in queues.items()}
    least = min(candidates.values(), key=lambda c: (c.waits, c.picked))
    offers = [(candidates[name], own, whole - own) for name, own in sorted(owns.items(), key=lambda item: item[1])]
    assert cheapest((least, whole, 0), offers, lambda c: c.waits, weight)[0].name == chosen


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 50), st.integers(0, 10)), min_size=1, max_size=8), st.integers(0, 9))
def test_the_choice_is_the_least_of_all(fleet: list[tuple[int, int]], weight: int) -> None:
    """The oracle asks every instance; work 10 is that of nothing cached."""
    candidates = [Candidate(str(number), queue, number) for number, (queue, _) in enumerate(fleet)]
    offers = sorted(
        ((c, own, 10 - own) for c, (_, own) in zip(candidates, fleet, strict=True) if own < 10), key=lambda o: o[1]
    )
    least = min(candidates, key=lambda c: (c.waits, c.picked))
    found = cheapest((least, 10, 0), offers, lambda c: c.waits, weight)
    costs = [queue + weight * own for queue, own in fleet]
    assert found[0].waits + weight * found[1] == min(costs)


# -- in the pool -------------------------------------------------------------------------------------------------------


class Scene:
    """A prefill pool with its memory, as `Generation.prefill` uses them."""

    def __init__(self, number: int, weight: float = 5.0, kind: type[Pool] = Pool) -> None:
        self.affinity = Affinity(10_000, weight)
        addresses = [Address(f"p{index}", 8000) for index in range(number)]
        self.pool = kind("prefill", addresses, PoolPolicy(), lambda: 0.0, self.affinity.instance_changed)

    def send(self, prompt: Prompt, avoid: Iterable[Address] = ()) -> Lease:
        lease = self.affinity.pick(self.pool, prompt, "layerwise", avoid)
        assert lease is not None
        return lease

    def turns(self, name: str, number: int, session: str = "") -> list[str]:
        """A conversation, one turn after the other; who serves each."""
        served = []
        for turn in range(number):
            lease = self.send(chat(name, turn, session))
            served.append(lease.instance.address.host)
            lease.release()
        return served

    def isolate(self, host: str) -> None:
        for _ in range(4):
            self.pool.failed(self.instance(host))

    def instance(self, host: str) -> Instance:
        return self.pool.instances[Address(host, 8000)]


def chat(name: str, turn: int, session: str = "", system: str = "Rules. " * 60) -> Prompt:
    messages = [{"role": "system", "content": f"You are {name}. {system}"}]
    for number in range(turn + 1):
        messages += [{"role": "user", "content": f"question {number} " + "word " * 40}]
        messages += [{"role": "assistant", "content": f"answer {number} " + "text " * 40}] * (number < turn)
    return prompt_of(Body(json.dumps({"model": "m", "messages": messages}).encode()), session)


def worker_pool() -> type[Pool]:
    return shared_pool(SharedTable(2), 0)


def workers(number: int, instances: int = 4) -> list[Scene]:
    table = SharedTable(number)
    return [Scene(instances, kind=shared_pool(table, worker)) for worker in range(number)]


@pytest.mark.parametrize("kind", [Pool, worker_pool()], ids=["one process", "workers"])
def test_a_conversation_stays_where_it_is(kind: type[Pool]) -> None:
    scene = Scene(4, kind=kind)
    assert set(scene.turns("Ada", 8)) == {"p0"}
    assert set(scene.turns("Bob", 8)) == {"p1"}
    assert set(scene.turns("Ada", 9)) == {"p0"}


def test_without_weight_turns_rotate_as_load_alone_has_it() -> None:
    scene = Scene(4, weight=0.0)
    assert scene.turns("Ada", 8) == ["p0", "p1", "p2", "p3"] * 2


def test_a_popular_system_prompt_spreads_over_the_fleet() -> None:
    """A hundred conversations at once: nobody gets more than twice the mean."""
    scene = Scene(4)
    long = "Rules. " * 1000
    leases = [scene.send(chat("Eve", 0, system=long + f"{number} " * 600)) for number in range(100)]
    hosts = [lease.instance.address.host for lease in leases]
    assert max(hosts.count(host) for host in set(hosts)) <= 50
    assert len(set(hosts)) == 4


def test_only_the_work_that_is_left_counts_as_load() -> None:
    scene = Scene(2)
    lease = scene.send(chat("Ada", 30))
    first = lease.instance.load
    assert first == WORK(chat("Ada", 30).size) and lease.matched == 0
    lease.release()
    again = scene.send(chat("Ada", 30))
    assert again.matched > chat("Ada", 30).size - 4096
    assert again.instance.load == WORK(chat("Ada", 30).size - again.matched) < 0.6 * first


def test_an_isolated_instance_loses_its_conversations_at_once() -> None:
    scene = Scene(3)
    assert set(scene.turns("Ada", 4)) == {"p0"}
    scene.isolate("p0")
    served = scene.turns("Ada", 5)
    assert "p0" not in served and len(set(served)) == 1
    scene.pool.probed(scene.instance("p0"), True)
    assert set(scene.turns("Ada", 6)) == set(served), "it is back with an empty cache"


@pytest.mark.parametrize("event", ["removed", "readmitted", "isolated"])
def test_events_that_empty_a_cache(event: str) -> None:
    scene = Scene(2)
    scene.turns("Ada", 3, "session")
    scene.affinity.instance_changed("leaving", scene.instance("p0"))
    assert list(scene.affinity.offers(chat("Ada", 3), WORK))
    scene.affinity.instance_changed(event, scene.instance("p0"))
    assert not list(scene.affinity.offers(chat("Ada", 3, "session"), WORK))


def test_a_retry_goes_elsewhere_and_is_remembered_there() -> None:
    scene = Scene(3)
    scene.turns("Ada", 3)
    lease = scene.send(chat("Ada", 3), {Address("p0", 8000)})
    assert lease.instance.address.host != "p0"
    assert {offer[0].address.host for offer in scene.affinity.offers(chat("Ada", 4), WORK)} == {
        "p0",
        lease.instance.address.host,
    }


# -- several workers ---------------------------------------------------------------------------------------------------


def test_workers_agree_where_a_conversation_is() -> None:
    scenes = workers(3)
    hosts = []
    for turn in range(9):
        lease = scenes[turn % 3].send(chat("Ada", turn))
        hosts.append(lease.instance.address.host)
        lease.release()
    assert len(set(hosts)) == 1


def test_workers_agree_about_sessions() -> None:
    first, second = workers(2)
    assert first.turns("Ada", 1, "session") == second.turns("Bob", 1, "session")


def test_a_reset_reaches_all_workers() -> None:
    first, second = workers(2)
    first.turns("Ada", 3)
    second.affinity.listen(second.pool)
    assert list(second.affinity.offers(chat("Ada", 3), WORK))
    first.affinity.clear(first.pool)
    second.affinity.listen(second.pool)
    assert not list(second.affinity.offers(chat("Ada", 3), WORK))


def test_what_is_told_of_an_unknown_instance_is_passed_over() -> None:
    first, second = workers(2, instances=2)
    second.pool.remove(Address("p0", 8000))
    assert set(first.turns("Ada", 2)) == {"p0"}
    assert set(second.turns("Ada", 3)) == {"p1"}
    second.pool.add(Address("p0", 8000))
    host = first.turns("Bob", 2)[-1]
    second.affinity.listen(second.pool)
    assert {offer[0].address.host for offer in second.affinity.offers(chat("Bob", 2), WORK)} == {host}


# -- sessions that a header names --------------------------------------------------------------------------------------


def test_a_session_stays_even_if_its_text_is_new() -> None:
    scene = Scene(4)
    hosts = {scene.turns(name, 1, "the session")[0] for name in ("Ada", "Bob", "Eve", "Dan")}
    assert hosts == {"p0"}
    assert scene.turns("Ada", 1, "another")[0] == "p0", "the text still counts"


def test_a_session_is_promised_no_more_than_it_sent() -> None:
    scene = Scene(2)
    small, large = chat("Ada", 0, "session"), chat("Bob", 60, "session")
    scene.send(small).release()
    assert scene.send(large).matched <= small.size


def test_sessions_are_bounded() -> None:
    scene = Scene(2)
    for number in range(3000):
        scene.affinity.note_choice(prompt_of(Body(b'{"prompt":"p"}'), f"session {number}"), scene.instance("p0"))
    assert len(scene.affinity._sessions) <= 10_000 // 8


# -- large fleets ------------------------------------------------------------------------------------------------------


def test_what_all_of_a_large_fleet_have_costs_no_more() -> None:
    scene = Scene(300)
    for instance in scene.pool:
        scene.affinity.note_choice(chat("Ada", 0), instance)
    scene.affinity.note_choice(chat("Ada", 5), scene.instance("p299"))
    offers = list(scene.affinity.offers(chat("Ada", 6), WORK))
    assert len(offers) == MOST_OFFERS
    assert offers[0][0].address.host == "p299", "the longest match is among them"


# -- what engines report -----------------------------------------------------------------------------------------------


def answer(scene: Scene, cached: int | None) -> CachedTokens:
    """One of Ada's prompts is answered; `cached` is what the engine says of its cache."""
    prompt = chat("Ada", 40)
    lease = scene.send(prompt)
    lease.release()
    usage: dict[str, object] = {"prompt_tokens": prompt.size // 4, "completion_tokens": 1}
    if cached is not None:
        usage["prompt_tokens_details"] = {"cached_tokens": cached}
    report = report_of({"usage": usage})
    return scene.affinity.compared(prompt, lease, report.prompt, report.cached)


@pytest.mark.parametrize("usage", [
    {"prompt_tokens": 9, "prompt_tokens_details": {"cached_tokens": 7}},
    {"input_tokens": 9, "input_tokens_details": {"cached_tokens": 7}},
])  # fmt: skip
def test_usage_is_read_in_the_words_of_every_api(usage: dict[str, object]) -> None:
    assert report_of({"usage": usage})[1:] == (7, 9)


@pytest.mark.parametrize("content", [{}, {"usage": 1}, {"usage": {"prompt_tokens_details": None}}])
def test_an_answer_without_usage_is_not_counted(content: dict[str, object]) -> None:
    scene = Scene(1)
    scene.turns("Ada", 41)
    prompt = chat("Ada", 40)
    report = report_of(content)
    estimated, reported = scene.affinity.compared(prompt, scene.send(prompt), report.prompt, report.cached)
    assert reported is None and prompt.size // 4 - 512 <= estimated <= prompt.size // 4
    assert scene.affinity.prompt_tokens == 0


def test_estimated_and_reported_tokens_are_counted_side_by_side() -> None:
    scene = Scene(2)
    answer(scene, 0)
    tokens = chat("Ada", 40).size // 4
    assert answer(scene, tokens - 16)[1] == tokens - 16
    affinity = scene.affinity
    assert (affinity.prompt_tokens, affinity.reported_tokens) == (2 * tokens, tokens - 16)
    assert tokens - 512 <= affinity.estimated_tokens <= tokens
    answer(scene, None)
    assert affinity.prompt_tokens == 2 * tokens, "an engine that does not report is not compared"


def test_an_instance_that_lost_its_cache_is_forgotten() -> None:
    scene = Scene(2)
    scene.turns("Bob", 3)
    bob = {offer[0] for offer in scene.affinity.offers(chat("Bob", 3), WORK)}
    scene.affinity.note_choice(chat("Ada", 40), scene.instance("p0"))
    assert chat("Ada", 40).size // 4 > LOST_TOKENS and bob == {scene.instance("p0")}
    answer(scene, 0)
    assert list(scene.affinity.offers(chat("Bob", 3), WORK)), "once may be two prompts at the same time"
    answer(scene, 0)
    assert not list(scene.affinity.offers(chat("Bob", 3), WORK))
    assert list(scene.affinity.offers(chat("Ada", 40), WORK)), "what it has just computed it has"
    answer(scene, 100)
    answer(scene, 0)
    assert list(scene.affinity.offers(chat("Ada", 40), WORK))
