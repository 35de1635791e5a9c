"""The rule by which a prompt gets its prefill instance: what waits there already, and what the prompt costs there.

Load alone sends the turns of a conversation round the fleet, and each instance computes all of it again. Load plus what
is not cached (AIBrix, Dynamo, PyMotor) still moves a conversation for a small queue, and pays for it twice: now, and
in the blocks that the other instance gives up for it. So the prompt's own work weighs more than the work that waits.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Protocol, TypeVar


class Candidate(Protocol):
    """An instance that could take a prompt."""

    picked: int
    """When it was picked last, as a number that grows."""


Instance = TypeVar("Instance", bound=Candidate)

Offer = tuple[Instance, int, int]
"""An instance that has part of a prompt in its cache, the work that is left there, and that part in bytes."""


def cheapest(
    least: Offer[Instance], offers: Iterable[Offer[Instance]], queue: Callable[[Instance], float], weight: float
) -> Offer[Instance]:
    """The offer with the least `queue + weight * work`; ties go to the instance that was picked longest ago.

    `least` is the instance with the shortest queue of all and the work without any cache, `offers` are those that have
    part of the prompt, the least work first. Nobody else can win: an instance that has nothing waits longer than
    `least`. And when not even the shortest queue would do with an offer's work, no later offer can win; nor can one
    after an offer of `least` itself, so among equal ones that comes best first.
    """
    shortest = queue(least[0])
    chosen, lowest = least, shortest + weight * least[1]
    for offer in offers:
        instance, work, _ = offer
        if shortest + weight * work > lowest:
            break
        cost = queue(instance) + weight * work
        if cost < lowest or (cost == lowest and instance.picked < chosen[0].picked):
            chosen, lowest = offer, cost
        if instance is least[0]:
            break
    return chosen
