"""What others need to know of an app: small enough to be remembered of thousands."""

from __future__ import annotations

from stormc.finding import Mark
from stormc.record import NamedTuple


class Summary(NamedTuple):
    """An app's identity, its directory and its demand.

    `rollout_seconds` is how long a rollout may take: its instances load the model one after the other. `cluster` is
    what platform files say of the cluster (Platform.cluster), `inventory` the directory of the platform file that
    counts the NPUs it takes from. `model` is empty where no gateway serves it. `expiries` are the indices and last
    days of overrides, `host_ports` the port ranges of engines that may share a node's network with others and the
    fields that say them, `shared` the names of the ConfigMaps that it mounts and shares with others of its namespace.
    """

    namespace: str
    name: str
    directory: str
    hardware: str
    npus: int
    rollout_seconds: int
    file: str
    mark: Mark
    cluster: str = ""
    inventory: str | None = None
    model: str = ""
    expiries: tuple[tuple[int, str], ...] = ()
    host_ports: tuple[tuple[int, int, str], ...] = ()
    shared: tuple[str, ...] = ()
