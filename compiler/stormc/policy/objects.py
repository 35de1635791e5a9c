"""What an app does with its other objects: namespace, Services, network policies, metadata."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from stormc.finding import Path
from stormc.phrase import Phrase, phrase
from stormc.policy.breach import Breach, Case
from stormc.policy.concerns import COMMAND, EXPOSURE, METADATA, NAMESPACE, NETWORK
from stormc.policy.policy import matches, matches_any

_SYSTEM_NAMESPACES = (
    "kube-*",
    "argocd*",
    "flux-system",
    "volcano-system",
    "aibrix-system",
    "mindx-dl",
    "cert-manager",
    "istio-system",
    "gatekeeper-system",
    "kyverno",
)
_ADDRESSES = ("externalIPs", "externalName", "loadBalancerIP", "loadBalancerSourceRanges", "healthCheckNodePort")
_OWN_ADDRESS = ("clusterIP", "clusterIPs")
ACTING = (
    # labels that Services, NetworkPolicies and operators select by
    "app", "app-*", "application", "component", "name", "release", "role", "run", "service", "svc", "k8s-app",
    "pod-template-hash", "statefulset.*", "app.kubernetes.io/*", "stormc.dev/*", "adapter.model.aibrix.ai/*",
    "model.aibrix.ai/adapter", "kueue.*", "*.x-k8s.io/*", "volcano.sh/*", "scheduling.*",
    # GitOps and packaging
    "argocd.argoproj.io/*", "*.fluxcd.io/*", "helm.sh/*", "meta.helm.sh/*", "*kustomize*", "*reloader*",
    # meshes and injectors of containers
    "*istio.io/*", "linkerd.io/*", "*.linkerd.io/*", "*consul*", "*kuma.io/*", "*openservicemesh*", "dapr.io/*",
    "*inject*", "*sidecar*", "instrumentation.opentelemetry.io/*", "admission.*",
    # secrets and identities
    "vault.*", "*.hashicorp.com/*", "*azure*", "*amazonaws.com/*", "iam.*", "*gke.io/*", "*.google.com/*",
    "cloud.google.com/*", "*openshift.io/*", "*cert-manager.io/*", "*spiffe*",
    # networks and addresses
    "*.cncf.io/*", "*multus*", "cni.*", "*ovn*", "*cilium*", "*calico*", "*metallb*", "kube-vip*", "external-dns*",
    "*ingress*", "*loadbalancer*", "*load-balancer*", "*traefik*",
    # the kubelet, the runtime, admission
    "*apparmor*", "*seccomp*", "kubernetes.io/*", "*.kubernetes.io/*", "*k8s.io/*", "io.kubernetes.*", "io.containerd*",
    "io.katacontainers*", "pod-security.*", "*kyverno*", "*gatekeeper*", "*.x-k8s.io/*",
)  # fmt: skip
"""Keys by which Services of others, meshes, networks, GitOps engines and admission act; * is any characters."""
_IDENTITY = ("finalizers", "namespace", "ownerReferences", "generateName")
"""Fields of metadata by which an object is kept, moved or collected."""


def namespace(case: Case) -> Iterator[Breach]:
    """The namespace of the app."""
    name = case.app.namespace
    unusual = any(matches(pattern, name) for pattern in _SYSTEM_NAMESPACES)
    yield from case.breach(
        NAMESPACE,
        ("namespace",),
        phrase("namespace {name} is not for this app", name=name),
        phrase("choose another one"),
        key="namespaces",
        value=name,
        unusual=unusual,
    )


def services(case: Case) -> Iterator[Breach]:
    """Types and addresses of Services, once per place of the spec: one override may patch those of all pods."""
    said: set[tuple[str, Path]] = set()
    for breach in _services(case):
        if (breach.rule, breach.path) not in said:
            said.add((breach.rule, breach.path))
            yield breach


def _services(case: Case) -> Iterator[Breach]:
    for manifest in case.manifests:
        spec = manifest.get("spec") or {}
        if manifest["kind"] != "Service":
            continue
        name, kind = manifest["metadata"]["name"], str(spec.get("type", "ClusterIP"))
        path = case.wrote(manifest, ("spec", "type"), ("overrides",), 2)
        yield from case.breach(
            EXPOSURE,
            path,
            phrase("Service {name} is of type {kind}", name=name, kind=kind),
            phrase("remove it; clients inside the cluster use its name"),
            key="serviceTypes",
            value=kind,
            unusual=kind != "ClusterIP",
        )
        for field in (*_ADDRESSES, *_OWN_ADDRESS):
            path = case.wrote(manifest, ("spec", field), (), 2)
            if spec.get(field) and path and spec[field] not in ("None", ["None"]):
                yield from case.breach(
                    EXPOSURE, path, phrase("Service {name} has {field}", name=name, field=field), phrase("remove it")
                )


def network(case: Case) -> Iterator[Breach]:
    """Network policies that are missing, or that an override opens."""
    for number, _ in case.policy.values("networkPolicy"):
        if not case.app.network_policy:
            yield Breach(
                NETWORK.forbidden.id,
                ("networkPolicy",),
                phrase("the app has no network policies"),
                phrase("set networkPolicy: true"),
                number,
            )
            break
    for index, override in enumerate(case.app.overrides):
        spec = override.patch.get("spec", {})
        if override.kind == "NetworkPolicy" and (spec is None or set(spec) & {"ingress", "egress", "policyTypes"}):
            path: Path = ("overrides", index, "patch", "spec")
            yield from case.breach(
                NETWORK,
                path,
                phrase("overrides[{index}] changes whom a NetworkPolicy lets in", index=index),
                phrase("remove it; a NetworkPolicy of your own goes into a directory of its own"),
            )


def metadata(case: Case) -> Iterator[Breach]:
    """Labels, annotations and finalizers by which others act, in fields and overrides."""
    for role in (*case.app.serving_roles, case.app.routing):
        for table in ("labels", "annotations"):
            for key in getattr(role, table):
                message = phrase("{key} of {role} is a key by which others act", key=key, role=role.name)
                yield from _key(case, (role.name, table, key), key, message)
    for index, override in enumerate(case.app.overrides):
        for path, key in _patched_keys(override.patch, ("overrides", index, "patch")):
            message = phrase("overrides[{index}] writes {key}, by which others act", index=index, key=key)
            yield from _key(case, path, key, message)
        if override.kind == "ConfigMap" and set(override.patch) & {"data", "binaryData"}:
            path = ("overrides", index, "patch")
            yield from case.breach(
                COMMAND,
                path,
                phrase("overrides[{index}] replaces what a ConfigMap of stormc holds", index=index),
                phrase("use the fields of the spec"),
            )


def _key(case: Case, path: Path, key: str, message: Phrase) -> Iterator[Breach]:
    unusual = key in _IDENTITY or matches_any(ACTING, key.lower())
    hint = phrase("remove it, or use a prefix of your own")
    yield from case.breach(METADATA, path, message, hint, key="metadata", value=key, unusual=unusual)


def _patched_keys(node: Any, path: Path) -> Iterator[tuple[Path, str]]:
    items = node.items() if isinstance(node, Mapping) else enumerate(node) if isinstance(node, list) else ()
    for step, value in items:
        at: Path = (*path, step)
        if step in ("labels", "annotations", "matchLabels") and isinstance(value, Mapping):
            yield from (((*at, key), str(key)) for key, written in value.items() if written is not None)
        elif step == "metadata" and isinstance(value, Mapping):
            yield from (((*at, field), field) for field in _IDENTITY if value.get(field))
            yield from _patched_keys(value, at)
        else:
            yield from _patched_keys(value, at)
