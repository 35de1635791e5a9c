"""The real proxy and launcher as pods of the cluster: no completion is lost while AIBrix replaces a decode pod."""

from __future__ import annotations

import http.client
import itertools
import json
import threading
from collections import Counter
from pathlib import Path
from typing import Any

from stormc.cluster.kinds import POD
from stormc.payload.objects import LAUNCHER_CONFIG, proxy_config_map, shared_objects
from stormc.payload.read import read_payload
from tests.e2e.live.apps import shaped
from tests.e2e.live.cluster import LiveCluster
from tests.e2e.live.control_plane import eventually
from tests.e2e.live.processes import Processes
from tests.e2e.summary import record

NAME, NAMESPACE, PORT = "qwen3-moe", "real-proxy", 8080
SHAPE = """\
model: {moe: false}
prefill: {replicas: 1, dataParallel: 1, tensorParallel: 16}
decode: {replicas: 2, podGroupSize: 1, dataParallel: 1, tensorParallel: 16}
"""
CLIENTS, ENOUGH = 3, 30


class Load:
    """Clients that ask for completions until they are told to stop, at the endpoints of the router's Service."""

    def __init__(self, live: LiveCluster) -> None:
        self._live = live
        self.outcomes: Counter[str] = Counter()
        self._stop = threading.Event()
        self._clients = [threading.Thread(target=self._ask) for _ in range(CLIENTS)]
        for client in self._clients:
            client.start()

    def stop(self) -> None:
        """Waits for the answers that are under way."""
        self._stop.set()
        for client in self._clients:
            client.join()

    def _ask(self) -> None:
        for number in itertools.count():
            if self._stop.is_set():
                return
            try:
                self.outcomes[complete(self._live, f"Hello {number}")] += 1
            except (OSError, http.client.HTTPException, ValueError, StopIteration) as error:
                self.outcomes[f"lost: {error!r}"] += 1


def complete(live: LiveCluster, prompt: str) -> str:
    """Asks for a completion at an endpoint of the router; `answered`, or what came instead."""
    body = json.dumps({"model": NAME, "prompt": prompt, "max_tokens": 4})
    status, answer = talk(live, "POST", "/v1/completions", body)
    return "answered" if status == 200 and answer["choices"][0]["text"] else f"lost: {status} {answer}"


def talk(live: LiveCluster, method: str, path: str, body: str = "") -> tuple[int, Any]:
    """An exchange with the first endpoint of the router's Service."""
    address = min(live.endpoints(NAMESPACE, f"{NAME}-router"), default="")
    if not address:
        raise OSError("the router's Service has no endpoint")
    connection = http.client.HTTPConnection(address, PORT, timeout=60)
    try:
        connection.request(method, path, body, {"Content-Type": "application/json"})
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())
    finally:
        connection.close()


def instances(live: LiveCluster) -> dict[str, Any]:
    """The proxy's decode instances by address."""
    try:
        return {each["address"]: each for each in talk(live, "GET", "/status")[1]["decode"]}
    except OSError:
        return {}


def healthy(live: LiveCluster) -> bool:
    """Whether the proxy sends requests to both decode pods."""
    return [each["state"] for each in instances(live).values()] == ["healthy", "healthy"]


def test_no_completion_is_lost_while_a_decode_pod_is_replaced(live: LiveCluster, tmp_path: Path) -> None:
    payload = read_payload()
    shared = shared_objects(payload, NAMESPACE, (LAUNCHER_CONFIG, proxy_config_map(payload)))
    manifests = [*shared, *shaped(SHAPE, live.platform_release, NAMESPACE)]
    live.namespace(NAMESPACE)
    processes = Processes(live, manifests, tmp_path)
    try:
        live.apply(manifests, NAMESPACE)
        live.until_ready(NAMESPACE, NAME)
        eventually(lambda: healthy(live), lambda: f"not healthy: {instances(live)}")
        load = Load(live)
        try:
            replaced = replace_one(live, load)
        finally:
            load.stop()
    finally:
        processes.close()
        live.remove(NAMESPACE, NAME)
    lost = {outcome: count for outcome, count in load.outcomes.items() if outcome != "answered"}
    record(live.release, "real proxy", f"{load.outcomes['answered']} answered, {sum(lost.values())} lost")
    assert not lost and replaced


def replace_one(live: LiveCluster, load: Load) -> bool:
    """Deletes a decode pod under load, and waits until the proxy uses the one that AIBrix made in its place."""
    eventually(lambda: load.outcomes["answered"] >= ENOUGH, lambda: str(load.outcomes))
    pod = live.kubelet.pods(NAMESPACE, NAME, "decode")[0]
    there = live.uids(NAMESPACE, NAME, "decode")
    live.cluster.delete(POD, NAMESPACE, pod["metadata"]["name"])

    def made_anew() -> set[str]:
        now = live.uids(NAMESPACE, NAME, "decode")
        return now - there if pod["metadata"]["uid"] not in now else set()

    (new,) = eventually(made_anew, "AIBrix does not make the pod anew")
    live.until_ready(NAMESPACE, NAME)
    eventually(lambda: healthy(live), lambda: f"not found again: {instances(live)}")
    before = {address: each["requests"] for address, each in instances(live).items()}

    def used() -> bool:
        now = instances(live)
        return all(now.get(address, {}).get("requests", 0) > count for address, count in before.items())

    eventually(used, lambda: f"not used again: {before} {instances(live)}")
    addresses = {p["metadata"]["uid"]: p["status"]["podIP"] for p in live.kubelet.pods(NAMESPACE, NAME)}
    return bool(addresses[new] != pod["status"]["podIP"])
