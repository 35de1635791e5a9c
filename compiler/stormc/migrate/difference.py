"""The differences between what was imported and what its spec renders to, as lines for people."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from stormc.migrate.compare import TablePath
from stormc.model.app import Ref
from stormc.passes.origins import Origins
from stormc.record import NamedTuple


class Difference(NamedTuple):
    """One difference of the rendered manifests: `kind` is `added`, `changed` or `left out`, `reason` says why."""

    kind: str
    role: str
    path: str
    reason: str


def reason_of(origins: Origins, storm: Ref, path: TablePath) -> str:
    """The reason of the first value below a path of our manifest: its pass, and why."""
    for ref, leaf, origin in origins.present():
        if ref == storm and (leaf[: len(path)] == path or path[: len(leaf)] == leaf):
            return f"{origin[-1].writer}: {origin[-1].because.in_words()}"
    return "stormc always has it"


def differences_beside(
    ours: Sequence[Mapping[str, Any]], services: Sequence[Mapping[str, Any]]
) -> Iterator[Difference]:
    """The differences in other objects than the StormService: what stormc adds, and the Services of the deploy tool."""
    theirs = {s["metadata"]["name"]: s for s in services}
    for mine in ours:
        ref = Ref(mine["kind"], mine["metadata"]["name"])
        if ref.kind == "StormService":
            continue
        before: Any = theirs.pop(ref.name, None) if ref.kind == "Service" else None
        if before is None:
            yield Difference("added", "", f"{ref.kind}/{ref.name}", "stormc renders it with the app")
        elif mine["spec"]["selector"] != before["spec"]["selector"]:
            yield Difference("changed", "", f"Service/{ref.name} selector", "AIBrix's stable labels")
        elif [p["port"] for p in mine["spec"]["ports"]] != [p["port"] for p in before["spec"]["ports"]]:
            yield Difference("changed", "", f"Service/{ref.name} ports", "one port per local rank")
        elif mine["spec"]["ports"] != before["spec"]["ports"]:
            yield Difference("changed", "", f"Service/{ref.name} names of ports", "a port is called by its rank")
    for name in theirs:
        yield Difference("left out", "", f"Service/{name}", "stormc addresses each serving pod by its own name")


def lines(differences: Sequence[Difference]) -> Iterator[str]:
    """The differences for people: items of one list, and roles that differ alike, on one line."""
    items: dict[tuple[str, str, str, str], list[str]] = {}
    for d in differences:
        stem, bracket, rest = d.path.partition("[")
        if d.path.startswith(("Service/", "ConfigMap/")):
            stem, _, rest = d.path.partition("/")
            name, _, what = rest.partition(" ")
            stem, rest = (f"{what} of {stem}" if what else stem), f"{name}]"
        item, _, field = rest.partition("]") if rest else ("", "", "")
        key = (d.kind, d.role, f"{stem}{bracket and '[]'}{field}", d.reason)
        items.setdefault(key, []).append(item)
    roles: dict[tuple[str, str, str, tuple[str, ...]], list[str]] = {}
    for (kind, role, path, reason), names in items.items():
        roles.setdefault((kind, path, reason, tuple(names)), []).append(role)
    for (kind, path, reason, members), names in roles.items():
        listed = ", ".join(members)
        what = path.replace("[]", f"[{listed}]", 1) if "[]" in path else f"{path} {listed}".rstrip()
        yield f"{kind}: {', '.join(names)} {what}: {reason}".replace(":  ", ": ")
