"""The kinds of objects that stormc applies or looks at, with the place that each has in the API."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from stormc.facts.keys import Label
from stormc.facts.kinds import API_VERSIONS, MADE_BY_CONTROLLERS
from stormc.failure import Failure
from stormc.phrase import phrase
from stormc.record import NamedTuple

Manifest = Mapping[str, Any]

MANAGED_BY, PART_OF = Label.MANAGED_BY, Label.PART_OF
STORM_SERVICE_NAME = Label.STORM_SERVICE
"""On every RoleSet, PodSet and Pod of a StormService (AIBrix v0.5.0 pkg/controller/constants/stormservice.go:19-47)."""


class Kind(NamedTuple):
    """One kind: its name, API version and plural."""

    name: str
    version: str
    plural: str
    namespaced: bool = True

    @property
    def resource(self) -> str:
        """As RBAC and the API server name it: stormservices.orchestration.aibrix.ai."""
        group = self.version.rpartition("/")[0]
        return f"{self.plural}.{group}" if group else self.plural

    def path(self, namespace: str | None, name: str = "") -> str:
        """The path of a collection, or of one object; namespace None is all namespaces."""
        root = f"/apis/{self.version}" if "/" in self.version else f"/api/{self.version}"
        inside = f"/namespaces/{namespace}" if self.namespaced and namespace else ""
        return f"{root}{inside}/{self.plural}" + (f"/{name}" if name else "")


NAMESPACE = Kind("Namespace", "v1", "namespaces", False)
NODE = Kind("Node", "v1", "nodes", False)
POD = Kind("Pod", "v1", "pods")
EVENT = Kind("Event", "v1", "events")
CONFIG_MAP = Kind("ConfigMap", "v1", "configmaps")
SERVICE = Kind("Service", "v1", "services")
NETWORK_POLICY = Kind("NetworkPolicy", API_VERSIONS["NetworkPolicy"], "networkpolicies")
DISRUPTION_BUDGET = Kind("PodDisruptionBudget", API_VERSIONS["PodDisruptionBudget"], "poddisruptionbudgets")
STORM_SERVICE = Kind("StormService", API_VERSIONS["StormService"], "stormservices")
ROLE_SET = Kind("RoleSet", MADE_BY_CONTROLLERS["RoleSet"], "rolesets")
POD_SET = Kind("PodSet", MADE_BY_CONTROLLERS["PodSet"], "podsets")
POD_GROUP = Kind("PodGroup", MADE_BY_CONTROLLERS["PodGroup"], "podgroups")
CRD = Kind("CustomResourceDefinition", "apiextensions.k8s.io/v1", "customresourcedefinitions", False)
DEPLOYMENT = Kind("Deployment", "apps/v1", "deployments")
DAEMON_SET = Kind("DaemonSet", "apps/v1", "daemonsets")
WEBHOOKS = Kind(
    "MutatingWebhookConfiguration", "admissionregistration.k8s.io/v1", "mutatingwebhookconfigurations", False
)
CLUSTER_ROLE = Kind("ClusterRole", "rbac.authorization.k8s.io/v1", "clusterroles", False)

APPLIED = (CONFIG_MAP, SERVICE, NETWORK_POLICY, DISRUPTION_BUDGET, STORM_SERVICE)
"""What an app consists of, in the order in which its parts depend on each other."""


def kind_of(manifest: Manifest) -> Kind:
    """The kind of a rendered manifest. Raises Failure for one that stormc does not render."""
    for kind in APPLIED:
        if (manifest.get("kind"), manifest.get("apiVersion")) == (kind.name, kind.version):
            return kind
    raise Failure(
        phrase(
            "{version} {kind} is not a kind that stormc deploys",
            version=manifest.get("apiVersion"),
            kind=manifest.get("kind"),
        )
    )


def title(manifest: Manifest) -> str:
    """How lines name an object: StormService/my-test."""
    return f"{manifest['kind']}/{manifest['metadata']['name']}"
