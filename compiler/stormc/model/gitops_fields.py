"""The fields by which a platform file asks for GitOps wiring."""

from __future__ import annotations

from stormc.facts import limits
from stormc.model.forms import (
    DNS_SUBDOMAIN,
    GIT_URL,
    GIT_URL_OR_SCP,
    NAMESPACES,
    PROJECT,
    REPOSITORY_PATH,
    REVISION,
    SERVER,
    Schema,
    field,
)

_CHECKOUT: Schema = {
    "revision": field("string", "Branch that is synced; default: main.", regex=REVISION),
    "path": field(
        "string", "Directory of the rendered tree in the repository; default: rendered.", regex=REPOSITORY_PATH
    ),
}
GITOPS: Schema = {
    "argocd": field("dict", "Wiring for Argo CD.", schema={
        "repoURL": field(
            "string", "Git repository, as Argo CD clones it.", required=True,
            regex=GIT_URL_OR_SCP,
        ),
        **_CHECKOUT,
        "project": field(
            "string", "AppProject of the apps, written by stormc; not Argo CD's own, default.", required=True,
            regex=PROJECT, maxlength=limits.LABEL_BYTES,
        ),
        "namespace": field("string", "Namespace of Argo CD; default: argocd.", regex=limits.NAMESPACE_PATTERN),
        "destinations": field(
            "list", "Namespaces to which the AppProject allows to deploy; default: those of the apps.",
            schema={"type": "string", "regex": NAMESPACES}, minlength=1,
        ),
        "server": field("string", "API server that the apps run on; default: Argo CD's own.", regex=SERVER),
    }),
    "flux": field("dict", "Wiring for Flux.", schema={
        "repoURL": field(
            "string", "Git repository, as Flux clones it.", required=True, regex=GIT_URL
        ),
        **_CHECKOUT,
        "namespace": field("string", "Namespace of Flux; default: flux-system.", regex=limits.NAMESPACE_PATTERN),
        "serviceAccount": field(
            "string", "Service account as which Flux applies the apps; default: its own.", regex=DNS_SUBDOMAIN,
            maxlength=253,
        ),
        "secret": field("string", "Secret with the repository's credentials.", regex=DNS_SUBDOMAIN, maxlength=253),
    }),
}  # fmt: skip
