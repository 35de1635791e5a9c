"""Schemas of what Argo CD and Flux are given."""

from __future__ import annotations

from stormc.facts import kinds
from tools.schemas.parts import (
    ANNOTATIONS,
    BOOLEAN,
    DNS_LABEL,
    DNS_SUBDOMAIN,
    DURATION,
    END,
    FILLED_STRING,
    INTEGER,
    LABELS,
    NAME_MAX,
    POSITIVE,
    STRING,
    TRUE,
    Schema,
    closed,
    const,
    list_of,
    metadata,
)


def _of_engine(kind: str, api_version: str, spec: Schema) -> Schema:
    fields = {"apiVersion": const(api_version), "kind": const(kind), "spec": spec}
    return closed({**fields, "metadata": metadata(DNS_SUBDOMAIN, NAME_MAX)}, ("apiVersion", "kind", "metadata", "spec"))


# Source: argo-cd manifests/crds/{application,applicationset,appproject}-crd.yaml, of which the wiring needs a part;
# options and their values are in docs/user-guide/sync-options.md.
SYNC_POLICY = closed(
    {
        "automated": closed({"prune": TRUE, "selfHeal": TRUE}),
        "syncOptions": list_of({"type": "string", "pattern": rf"^(ServerSideApply|FailOnSharedResource)=true{END}"}),
        "retry": closed(
            {
                "limit": INTEGER,
                "backoff": closed({"duration": DURATION, "factor": POSITIVE, "maxDuration": DURATION}),
            }
        ),
    }
)
# An AppProject allows no empty namespace unless it lists one (argo-cd pkg/apis/application/v1alpha1/types.go).
PLACE = ("server", "namespace")
DESTINATION = closed({"server": FILLED_STRING, "namespace": {"type": "string", "pattern": DNS_LABEL}}, PLACE)
GLOB = rf"^[a-z0-9*]([-a-z0-9*]*[a-z0-9*])?{END}"
ALLOWED_DESTINATION = closed({"server": FILLED_STRING, "namespace": {"type": "string", "pattern": GLOB}}, PLACE)
TEMPLATED_DESTINATION = closed({"server": FILLED_STRING, "namespace": FILLED_STRING}, PLACE)


def _application_spec(destination: Schema) -> Schema:
    """What an Application says, or the template of one, in which words stand for what its generator finds."""
    source = {"repoURL": FILLED_STRING, "targetRevision": FILLED_STRING, "path": FILLED_STRING}
    return closed(
        {
            "project": FILLED_STRING,
            "source": closed(source, ("repoURL", "path")),
            "destination": destination,
            "syncPolicy": SYNC_POLICY,
        },
        ("project", "source", "destination"),
    )


GROUP_KIND = closed({"group": STRING, "kind": FILLED_STRING}, ("group", "kind"))
GIT_GENERATOR = closed(
    {
        "repoURL": FILLED_STRING,
        "revision": FILLED_STRING,
        "directories": list_of(closed({"path": FILLED_STRING, "exclude": TRUE}, ("path",)), minItems=1),
    },
    ("repoURL", "revision", "directories"),
)
TEMPLATE = closed(
    {
        "metadata": closed({"name": FILLED_STRING, "labels": LABELS, "annotations": ANNOTATIONS}, ("name",)),
        "spec": _application_spec(TEMPLATED_DESTINATION),
    },
    ("metadata", "spec"),
)
WIRING_OF_ARGOCD: dict[str, Schema] = {
    "AppProject": _of_engine("AppProject", kinds.ARGOCD, closed(
        {
            "description": {"type": "string", "maxLength": 255},
            "sourceRepos": list_of(FILLED_STRING, minItems=1),
            "destinations": list_of(ALLOWED_DESTINATION, minItems=1),
            "namespaceResourceWhitelist": list_of(GROUP_KIND, minItems=1),
        },
    )),
    "Application": _of_engine("Application", kinds.ARGOCD, _application_spec(DESTINATION)),
    "ApplicationSet": _of_engine("ApplicationSet", kinds.ARGOCD, closed(
        {
            "goTemplate": TRUE,
            "goTemplateOptions": list_of(const("missingkey=error")),
            "generators": list_of(closed({"git": GIT_GENERATOR}, ("git",)), minItems=1),
            "syncPolicy": closed({"preserveResourcesOnDeletion": TRUE}),
            "preservedFields": closed({"annotations": list_of(FILLED_STRING, minItems=1)}),
            "template": TEMPLATE,
        },
        ("generators", "template"),
    )),
}  # fmt: skip

# Source: fluxcd source-controller config/crd/bases/source.toolkit.fluxcd.io_gitrepositories.yaml and
# kustomize-controller config/crd/bases/kustomize.toolkit.fluxcd.io_kustomizations.yaml, in part.
LOCAL_NAME = closed({"name": FILLED_STRING}, ("name",))
HEALTH_CHECK = {"apiVersion": FILLED_STRING, "kind": FILLED_STRING}
WIRING_OF_FLUX: dict[str, Schema] = {
    "GitRepository": _of_engine("GitRepository", kinds.FLUX_SOURCE, closed(
        {
            "interval": DURATION,
            "url": {"type": "string", "pattern": "^(http|https|ssh)://"},
            "ref": closed({"branch": FILLED_STRING}),
            "secretRef": LOCAL_NAME,
        },
        ("interval", "url"),
    )),
    "Kustomization": _of_engine("Kustomization", kinds.FLUX_KUSTOMIZE, closed(
        {
            "interval": DURATION,
            "retryInterval": DURATION,
            "timeout": DURATION,
            "path": {"type": "string", "pattern": "^\\./"},
            "prune": BOOLEAN,
            "serviceAccountName": {"type": "string"},
            "deletionPolicy": {"type": "string", "enum": ["MirrorPrune", "Delete", "WaitForTermination", "Orphan"]},
            "dependsOn": list_of(LOCAL_NAME),
            "sourceRef": closed({"kind": const("GitRepository"), "name": FILLED_STRING}, ("kind", "name")),
            "healthChecks": list_of(
                closed({**HEALTH_CHECK, "name": FILLED_STRING, "namespace": FILLED_STRING}, ("kind", "name"))
            ),
            "healthCheckExprs": list_of(
                closed(
                    {**HEALTH_CHECK, "current": FILLED_STRING, "failed": FILLED_STRING, "inProgress": FILLED_STRING},
                    ("apiVersion", "kind", "current"),
                )
            ),
        },
        ("interval", "prune", "sourceRef"),
    )),
}  # fmt: skip
