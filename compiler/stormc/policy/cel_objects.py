"""The rules of Services and NetworkPolicies for admission."""

from __future__ import annotations

from collections.abc import Iterator

from stormc.facts.keys import ARGOCD_PREFIX, FLUX_PREFIX, HELM_PREFIX, KUBECTL_PREFIX, Annotation, Label
from stormc.policy.cel import Rule, texts, whole
from stormc.policy.objects import ACTING
from stormc.policy.policy import Policy

_OWN_KEYS = (
    Label.MANAGED_BY, Label.NAME, Label.PART_OF, Annotation.STORMC_SPEC, Annotation.STORMC_SPEC_DIGEST,
    Annotation.ARGOCD_SYNC_OPTIONS, Annotation.ARGOCD_SYNC_WAVE, f"{ARGOCD_PREFIX}tracking-id", f"{FLUX_PREFIX}*",
    f"{HELM_PREFIX}*", f"{KUBECTL_PREFIX}last-applied-configuration",
)  # fmt: skip
"""Keys that stormc, kubectl and GitOps engines write into the metadata of objects."""


def service_rules(policy: Policy) -> Iterator[Rule]:
    """The rules of a Service."""
    types = [set(listed) for _, listed in policy.values("serviceTypes")] or [{"ClusterIP"}]
    allowed = set.intersection(*types)
    kind = 'object.spec.?type.orValue("ClusterIP")'
    yield "E810", "the Service is of a type that its policy does not allow", f"{kind} in {texts(allowed)}"
    yield "E810", "the Service takes addresses from outside", (
        "object.spec.?externalIPs.orValue([]).size() == 0 && object.spec.?externalName.orValue('') == '' && "
        "object.spec.?loadBalancerIP.orValue('') == '' && "
        "object.spec.?loadBalancerSourceRanges.orValue([]).size() == 0"
        + (" && object.spec.?ports.orValue([]).all(p, !has(p.nodePort))" if allowed == {"ClusterIP"} else "")
    )  # fmt: skip
    yield (
        "E079",
        "the Service selects pods of others",
        f"has(object.spec.selector) && '{Label.STORM_SERVICE}' in object.spec.selector",
    )
    yield from metadata_rules()


def network_policy_rules() -> Iterator[Rule]:
    """The rules of a NetworkPolicy of stormc."""
    yield (
        "E079",
        "the NetworkPolicy selects pods of others",
        (f"'{Label.STORM_SERVICE}' in object.spec.podSelector.?matchLabels.orValue({{}})"),
    )
    yield (
        "E811",
        "the NetworkPolicy lets everything in",
        (
            "object.spec.?ingress.orValue([]).all(i, (i.?ports.orValue([]).size() > 0 || "
            "i.?from.orValue([]).size() > 0) && i.?from.orValue([]).all(f, !has(f.ipBlock)))"
        ),
    )
    yield (
        "E811",
        "the NetworkPolicy is not about incoming connections, or about others too",
        ("object.spec.?policyTypes.orValue([]) == ['Ingress']"),
    )
    yield from metadata_rules()


def metadata_rules() -> Iterator[Rule]:
    """The rules of every object's metadata."""
    acting, own = whole("k.lowerAscii()", ACTING), whole("k", _OWN_KEYS)
    for table in ("labels", "annotations"):
        message = f"the {table} hold a key by which others act"
        yield "E814", message, f"object.metadata.?{table}.orValue({{}}).all(k, !{acting} || {own})"
    key = f"object.metadata.?labels[?'{Label.MANAGED_BY}']"
    yield "E814", "the object says that another program manages it", f"{key}.orValue('stormc') == 'stormc'"
    yield (
        "E814",
        "the object has finalizers",
        ("request.operation != 'CREATE' || object.metadata.?finalizers.orValue([]).size() == 0"),
    )
