"""The status of apps as text for people and as JSON for programs."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable

from stormc.cluster.status import AppStatus, PodRow
from stormc.nouns import npus
from stormc.phrase import Phrase, phrase, verbatim
from stormc.report.escape import escaped_json


def as_json(apps: Iterable[AppStatus]) -> str:
    """A list of apps with the fields of stormc.cluster.status."""
    return escaped_json(
        json.dumps(
            [
                {
                    **app._asdict(),
                    "ready": app.ready,
                    "roles": [{**role._asdict(), "pods": [pod._asdict() for pod in role.pods]} for role in app.roles],
                    "groups": [group._asdict() for group in app.groups],
                    "instances": [instance._asdict() for instance in app.instances],
                }
                for app in apps
            ],
            indent=2,
        )
    )


def as_text(app: AppStatus, translated: Callable[[str], str] = str) -> str:
    """An indented tree; a message follows the object that it explains."""
    state = app.problem or phrase("ready")
    lines = [phrase("{name} in {namespace}: {state}", name=app.name, namespace=app.namespace, state=state)]
    for group in app.groups:
        lines.append(verbatim(f"  {group.object}  {group.state}" + (f"  {group.message}" if group.message else "")))
    for role in app.roles:
        lines.append(verbatim(f"  {role.name} {role.ready}/{role.desired}"))
        lines += [_pod(pod) for pod in role.pods]
    lines += [
        phrase(
            "  proxy: {role} {address}  {state}  {active} active  {failures} failures  {requests} requests",
            role=i.role, address=i.address, state=i.state, active=i.active, failures=i.failures, requests=i.requests,
        )
        for i in app.instances
    ]  # fmt: skip
    lines += [phrase("  differs from rendered: {path}", path=path) for path in app.drift]
    return "\n".join(map(translated, lines))


def age(seconds: int | None) -> str:
    """The largest whole unit: 45s, 12m, 3h, 2d."""
    if seconds is None:
        return "-"
    for size, unit in ((86400, "d"), (3600, "h"), (60, "m")):
        if seconds >= size:
            return f"{seconds // size}{unit}"
    return f"{seconds}s"


def _pod(pod: PodRow) -> Phrase:
    line = phrase(
        "    {slot} {name}  {state}  {node}  {npus}  {restarts} restarts  {age}",
        slot=f"{pod.slot or '-':<5}", name=pod.name, state="Ready" if pod.ready else pod.phase, node=pod.node or "-",
        npus=npus(pod.npus), restarts=pod.restarts, age=age(pod.age),
    )  # fmt: skip
    return phrase("{line}  {message}", line=line, message=pod.message) if pod.message else line
