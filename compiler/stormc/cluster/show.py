"""The status of apps as text for people and as JSON for programs."""

from __future__ import annotations

import json
from collections.abc import Iterable

from stormc.cluster.tree import AppStatus, PodRow
from stormc.report.escape import escaped_json


def as_json(apps: Iterable[AppStatus]) -> str:
    """A list of apps with the fields of stormc.cluster.tree."""
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


def as_text(app: AppStatus) -> str:
    """An indented tree; a message follows the object that it explains."""
    lines = [f"{app.name} in {app.namespace}: {app.problem or 'ready'}"]
    for group in app.groups:
        lines.append(f"  {group.object}  {group.state}" + (f"  {group.message}" if group.message else ""))
    for role in app.roles:
        lines.append(f"  {role.name} {role.ready}/{role.desired}")
        lines += [_pod(pod) for pod in role.pods]
    lines += [
        f"  proxy: {i.role} {i.address}  {i.state}  {i.active} active  {i.failures} failures  {i.requests} requests"
        for i in app.instances
    ]
    lines += [f"  differs from rendered: {path}" for path in app.drift]
    return "\n".join(lines)


def age(seconds: int | None) -> str:
    """The largest whole unit: 45s, 12m, 3h, 2d."""
    if seconds is None:
        return "-"
    for size, unit in ((86400, "d"), (3600, "h"), (60, "m")):
        if seconds >= size:
            return f"{seconds // size}{unit}"
    return f"{seconds}s"


def _pod(pod: PodRow) -> str:
    state = "Ready" if pod.ready else pod.phase
    line = (
        f"    {pod.slot or '-':<5} {pod.name}  {state}  {pod.node or '-'}  {pod.npus} NPUs  "
        f"{pod.restarts} restarts  {age(pod.age)}"
    )
    return f"{line}  {pod.message}" if pod.message else line
