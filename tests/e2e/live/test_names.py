"""Names at the limit of E040 become ready on each release; the next longer one that has no room does not."""

from __future__ import annotations

import pytest

from stormc.failure import Failure
from tests.e2e.live.apps import shaped
from tests.e2e.live.cluster import LiveCluster
from tests.e2e.live.control_plane import eventually

SINGLE = "decode: {podGroupSize: 1, dataParallel: 16}"
GROUPS = "prefill: {podGroupSize: 2, dataParallel: 4}"
SHAPES = {"single": SINGLE, "decode in groups": "faults: {retries: 10}", "both in groups": GROUPS}


def longest(shape: str, release: str) -> str:
    """The longest name that stormc renders."""
    for length in range(34, 1, -1):
        try:
            shaped(f"{SHAPES[shape]}\nname: {'n' * length}", release, "limits")
        except AssertionError:
            continue
        return "n" * length
    raise AssertionError("no name is rendered")


@pytest.mark.parametrize("shape", SHAPES)
def test_the_longest_name_becomes_ready(live: LiveCluster, shape: str) -> None:
    name = longest(shape, live.platform_release)
    namespace = live.namespace(f"limit-{list(SHAPES).index(shape)}")
    live.apply(shaped(f"{SHAPES[shape]}\nname: {name}", live.platform_release, namespace))
    live.until_ready(namespace, name)
    assert max(len(pod["metadata"]["name"]) for pod in live.kubelet.pods(namespace, name)) <= 63
    live.remove(namespace, name)


def renamed(shape: str, release: str, namespace: str, more: int) -> tuple[str, list[object]]:
    """The app with a name that is so much longer than the longest, which E040 refuses to render."""
    short = longest(shape, release)
    longer = short + "x" * more
    text = [
        str_replaced(manifest, short, longer)
        for manifest in shaped(f"{SHAPES[shape]}\nname: {short}", release, namespace)
    ]
    return longer, text


def str_replaced(node: object, old: str, new: str) -> object:
    """A manifest with a name that stands in many places replaced in all of them."""
    if isinstance(node, dict):
        return {str_replaced(key, old, new): str_replaced(value, old, new) for key, value in node.items()}
    if isinstance(node, list):
        return [str_replaced(item, old, new) for item in node]
    return node.replace(old, new) if isinstance(node, str) else node


def test_a_name_without_room_for_groups_is_denied(live: LiveCluster) -> None:
    """From v0.6.0 on AIBrix's webhook denies it; the limit is exact."""
    namespace = live.namespace("limit-denied")
    _, manifests = renamed("both in groups", live.platform_release, namespace, 1)
    with pytest.raises(Failure, match="63"):
        live.apply(manifests)  # type: ignore[arg-type]


def test_a_name_without_room_for_single_pods_makes_no_pod(live: LiveCluster) -> None:
    """Two characters stay for the index; without any, the hostname has more than 63."""
    namespace = live.namespace("limit-single")
    name, manifests = renamed("single", live.platform_release, namespace, 2)
    live.apply(manifests)  # type: ignore[arg-type]
    eventually(lambda: "hostname" in live.problem(namespace, name), lambda: live.problem(namespace, name))
    assert not live.kubelet.pods(namespace, name, "prefill")
