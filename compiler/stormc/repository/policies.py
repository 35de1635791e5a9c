"""Policies of a repository: which layers hold for a directory, and what they say of platform files and of all apps."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date
from typing import TYPE_CHECKING

from stormc.finding import Finding, Path
from stormc.load.document import Document
from stormc.model.summary import Summary
from stormc.policy.concerns import DELEGATED, DESTINATION, EXCEPTION, NPUS, OVERRIDE, PLAIN_SECRET
from stormc.policy.policy import Layer, Policy, matches
from stormc.policy.secrets import holds_password

if TYPE_CHECKING:
    from stormc.gitops.wiring import Wiring
    from stormc.repository.platforms import Platforms
    from stormc.repository.repository import Repository

ALWAYS = ("apiVersion", "kind", "policy")
"""Fields that a platform file may have under any policy: one of its own only narrows."""


def policy_of(platforms: Platforms, directory: str) -> Policy:
    """The policy that holds in a directory."""
    documents = {each: platforms.documents[each] for each in platforms.chain(directory) if each in platforms.documents}
    return Policy(tuple(
        Layer(each, document.file, document.data["policy"])
        for each, document in documents.items() if document.data.get("policy")
    ))  # fmt: skip


def platform_findings(platforms: Platforms) -> Iterator[Finding]:
    """What is wrong with platform files: fields that a policy above does not delegate, passwords in URLs."""
    for directory, document in platforms.documents.items():
        above = Policy(tuple(layer for layer in policy_of(platforms, directory).layers if layer.directory != directory))
        for field in document.data if above else ():
            if field not in ALWAYS and field not in above.delegated:
                top = next(layer for layer in above.layers if field not in Policy((layer,)).delegated)
                message = f"{field} is not for a platform file below the policy of {top.file}"
                hint = f"its policy delegates: {', '.join(sorted(above.delegated)) or 'nothing'}"
                yield _at(DELEGATED.forbidden.id, document, (field,), message, hint)
        for path, text in _texts(document.data, ()):
            if holds_password(text):
                yield _at(PLAIN_SECRET.forbidden.id, document, path, "a URL holds a password",
                          "remove it; the engine reads its credentials from a Secret")  # fmt: skip


def _texts(node: object, path: Path) -> Iterator[tuple[Path, str]]:
    items: Iterable[tuple[str | int, object]] = ()
    if isinstance(node, Mapping):
        items = node.items()
    elif isinstance(node, list):
        items = enumerate(node)
    for step, value in items:
        if isinstance(value, str):
            yield (*path, step), value
        else:
            yield from _texts(value, (*path, step))


def _at(rule: str, document: Document, path: Path, message: str, hint: str) -> Finding:
    return Finding(rule, document.file, document.locate(path), message, hint, path)


def policy_findings(repository: Repository, apps: Sequence[Summary], today: str) -> Iterator[Finding]:
    """What policies say of all apps together, and of the day: NPUs, ends of overrides and of exceptions."""
    for directory, document in repository.platforms.documents.items():
        fields = document.data.get("policy")
        if not fields:
            continue
        for index, entry in enumerate(fields.get("exceptions", ())):
            if entry.get("expires", today) < today:
                path: Path = ("policy", "exceptions", index, "expires")
                yield _at(EXCEPTION.forbidden.id, document, path, f"the exception ended on {entry['expires']}",
                          "remove it, or renew it")  # fmt: skip
        inside = [app for app in apps if not directory or app.directory.startswith(f"{directory}/")]
        taken = 0
        for app in inside if "maxNpus" in fields else ():
            taken += app.npus
            if taken > fields["maxNpus"]:
                message = f"app {app.name} takes {app.npus} NPUs; with those before it that is {taken}"
                hint = f"{document.file} allows {fields['maxNpus']} below {directory or 'specs'}"
                yield Finding(NPUS.forbidden.id, app.file, app.mark, message, hint, ("name",))
                break
        most = fields.get("overrides", {}).get("maxDays")
        for app in inside if most is not None else ():
            for index, day in app.expiries:
                if (date.fromisoformat(day) - date.fromisoformat(today)).days > most:
                    yield Finding(OVERRIDE.forbidden.id, app.file, app.mark,
                                  f"overrides[{index}] of {app.name} lasts until {day}",
                                  f"{document.file} allows {most} days", ("overrides", index, "expires"))  # fmt: skip


def wiring_findings(repository: Repository, wirings: Iterable[Wiring]) -> Iterator[Finding]:
    """Wirings that deploy where nobody allowed it, or as a service account that is not the policy's."""
    for wiring in wirings:
        request, (argocd, flux) = wiring.request, wiring.request.gitops
        policy = policy_of(repository.platforms, request.directory)
        missing = [f"argocd.{field}" for field in ["destinations"] if argocd and not argocd.destinations]
        missing += [f"flux.{field}" for field in ["serviceAccount"] if flux and not flux.service_account]
        if missing:
            rule = DESTINATION.forbidden if policy.covers("gitops") else DESTINATION.warned
            assert rule is not None
            yield Finding(rule.id, request.file, request.mark, f"gitops has no {' and no '.join(missing)}",
                          "say where the engine may deploy, and as whom", ("gitops",))  # fmt: skip
        for layer in policy.layers:
            limits = layer.fields.get("gitops", {})
            wanted = {"project": argocd and argocd.project, "serviceAccount": flux and flux.service_account}
            for field, value in wanted.items():
                if value and field in limits and value != limits[field]:
                    yield Finding(DESTINATION.forbidden.id, request.file, request.mark, f"gitops has {field} {value}",
                                  f"{layer.file} fixes {limits[field]}", ("gitops",))  # fmt: skip
        allowed = [list(argocd.destinations)] if argocd and argocd.destinations else []
        allowed += [patterns for _, patterns in policy.values("gitops", "destinations")]
        for app in wiring.apps:
            refusing = [each for each in allowed if not any(matches(pattern, app.namespace) for pattern in each)]
            if refusing:
                message = f"{request.file} does not deploy to namespace {app.namespace} of app {app.name}"
                yield Finding(DESTINATION.forbidden.id, app.file, app.mark, message,
                              f"destinations: {', '.join(refusing[0])}", ("namespace",))  # fmt: skip
