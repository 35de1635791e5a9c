"""Policies of a repository: which layers hold for a directory, and findings on platform files and on all apps."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from stormc.finding import Finding, Path
from stormc.load.document import Document
from stormc.model.summary import Summary
from stormc.phrase import Phrase, chained, phrase
from stormc.policy.concerns import DELEGATED, DESTINATION, EXCEPTION, NPUS, OVERRIDE, PLAIN_SECRET
from stormc.policy.plain_text import texts
from stormc.policy.policy import Layer, Policy, matches
from stormc.policy.secrets import holds_password

if TYPE_CHECKING:
    from stormc.gitops.wiring import Wiring
    from stormc.repository.platforms import Platforms
    from stormc.repository.repository import Repository

ALWAYS = ("apiVersion", "kind", "policy")
"""Fields that a platform file may have under any policy; a `policy` of its own can only narrow what is allowed."""


def policy_of(platforms: Platforms, directory: str) -> Policy:
    """The policy that holds in a directory."""
    documents = {each: platforms.documents[each] for each in platforms.chain(directory) if each in platforms.documents}
    layers = tuple(
        Layer(each, document.file, document.data["policy"])
        for each, document in documents.items() if document.data.get("policy") is not None
    )  # fmt: skip
    return Policy(layers, next((document.file for document in documents.values()), ""))


def platform_findings(platforms: Platforms) -> Iterator[Finding]:
    """What is wrong with platform files: fields that a policy above does not delegate, passwords in URLs."""
    for directory, document in platforms.documents.items():
        above = Policy(tuple(layer for layer in policy_of(platforms, directory).layers if layer.directory != directory))
        for field in document.data if above else ():
            if field not in ALWAYS and field not in above.delegated:
                top = next(layer for layer in above.layers if field not in Policy((layer,)).delegated)
                message = phrase(
                    "{field} is not for a platform file below the policy of {file}", field=field, file=top.file
                )
                hint = phrase(
                    "its policy delegates: {delegated}",
                    delegated=", ".join(sorted(above.delegated)) or phrase("nothing"),
                )
                yield _at(DELEGATED.forbidden.id, document, (field,), message, hint)
        for path, text in texts(document.data, ()):
            if holds_password(text):
                yield _at(
                    PLAIN_SECRET.forbidden.id,
                    document,
                    path,
                    phrase("a URL holds a password"),
                    phrase("remove it; the engine reads its credentials from a Secret"),
                )


def _at(rule: str, document: Document, path: Path, message: Phrase, hint: Phrase) -> Finding:
    return Finding(rule, document.file, document.locate(path), message, hint, path)


def policy_findings(repository: Repository, apps: Sequence[Summary], today: str) -> Iterator[Finding]:
    """Findings of policies on all apps together, and on the date: NPUs, ends of overrides and of exceptions."""
    for directory, document in repository.platforms.documents.items():
        fields = document.data.get("policy")
        if not fields:
            continue
        for index, entry in enumerate(fields.get("exceptions", ())):
            if entry.get("expires", today) < today:
                path: Path = ("policy", "exceptions", index, "expires")
                yield _at(EXCEPTION.forbidden.id, document, path,
                          phrase("the exception ended on {expires}", expires=entry["expires"]),
                          phrase("remove it, or renew it"))  # fmt: skip
        inside = [app for app in apps if not directory or app.directory.startswith(f"{directory}/")]
        taken = 0
        for app in inside if "maxNpus" in fields else ():
            taken += app.npus
            if taken > fields["maxNpus"]:
                message = phrase("app {app} takes {npus} NPUs; with those before it that is {taken}", app=app.name,
                                 npus=app.npus, taken=taken)  # fmt: skip
                hint = phrase("{file} allows {max_npus} below {directory}", file=document.file,
                              max_npus=fields["maxNpus"], directory=directory or "specs")  # fmt: skip
                yield Finding(NPUS.forbidden.id, app.file, app.mark, message, hint, ("name",))
                break
        most = fields.get("overrides", {}).get("maxDays")
        for app in inside if most is not None else ():
            for index, day in app.expiries:
                if _days(today, day) > most:
                    yield Finding(OVERRIDE.forbidden.id, app.file, app.mark,
                                  phrase("overrides[{index}] of {app} lasts until {day}", index=index, app=app.name,
                                         day=day), phrase("{file} allows {most} days", file=document.file, most=most),
                                  ("overrides", index, "expires"))  # fmt: skip


def _days(first: str, last: str) -> int:
    from datetime import date  # every command would pay for it, and few policies limit days

    return (date.fromisoformat(last) - date.fromisoformat(first)).days


def wiring_findings(repository: Repository, wirings: Iterable[Wiring]) -> Iterator[Finding]:
    """Findings on wirings that deploy where no policy allows it, or as another service account than the policy's."""
    for wiring in wirings:
        request, (argocd, flux) = wiring.request, wiring.request.gitops
        policy = policy_of(repository.platforms, request.directory)
        missing = [f"argocd.{field}" for field in ["destinations"] if argocd and not argocd.destinations]
        missing += [f"flux.{field}" for field in ["serviceAccount"] if flux and not flux.service_account]
        if missing:
            rule = DESTINATION.forbidden if policy.covers("gitops") else DESTINATION.warned
            assert rule is not None
            yield Finding(rule.id, request.file, request.mark,
                          phrase("gitops has no {missing}", missing=chained(missing, "{words} and no {last}")),
                          phrase("say where the engine may deploy, and as whom"), ("gitops",))  # fmt: skip
        for layer in policy.layers:
            limits = layer.fields.get("gitops", {})
            requested = {"project": argocd and argocd.project, "serviceAccount": flux and flux.service_account}
            for field, value in requested.items():
                if value and field in limits and value != limits[field]:
                    yield Finding(DESTINATION.forbidden.id, request.file, request.mark,
                                  phrase("gitops has {field} {value}", field=field, value=value),
                                  phrase("{file} fixes {limits}", file=layer.file, limits=limits[field]),
                                  ("gitops",))  # fmt: skip
        allowed = [list(argocd.destinations)] if argocd and argocd.destinations else []
        allowed += [patterns for _, patterns in policy.values("gitops", "destinations")]
        for app in wiring.apps:
            refusing = [each for each in allowed if not any(matches(pattern, app.namespace) for pattern in each)]
            if refusing:
                message = phrase("{file} does not deploy to namespace {namespace} of app {app}", file=request.file,
                                 namespace=app.namespace, app=app.name)  # fmt: skip
                yield Finding(DESTINATION.forbidden.id, app.file, app.mark, message,
                              phrase("destinations: {refusing}", refusing=", ".join(refusing[0])),
                              ("namespace",))  # fmt: skip
