"""What an app does with its other objects: namespace, Services, network policies, metadata."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from stormc.finding import Path
from stormc.phrase import Phrase, both, phrase, verbatim
from stormc.policy.breach import Breach, Case
from stormc.policy.concerns import COMMAND, EXPOSURE, METADATA, NAMESPACE, NETWORK
from stormc.policy.policy import matches_any

_SYSTEM_NAMESPACES = (
    "kube-*", "*-system", "argo", "argocd*", "argo-*", "mindx-dl", "npu-exporter", "cluster-system", "cert-manager",
    "kyverno", "openshift", "openshift-*", "cattle-*", "rook-*", "ingress-*", "*-ingress", "traefik", "tekton-*",
    "knative-*", "istio-*", "linkerd*", "kubeflow", "monitoring", "prometheus*", "logging", "vault*", "keycloak*",
    "harbor*", "external-secrets*", "sealed-secrets*", "gpu-operator", "velero",
)  # fmt: skip
"""Namespaces in which programs of the cluster itself run; * is any characters."""
_ADDRESSES = ("externalIPs", "externalName", "loadBalancerIP", "loadBalancerSourceRanges", "healthCheckNodePort")
_OWN_ADDRESS = ("clusterIP", "clusterIPs")
ACTING = (
    # labels that Services, NetworkPolicies and operators select by
    "app", "app-*", "application", "component", "name", "release", "role", "run", "service", "svc", "k8s-app",
    "pod-template-hash", "statefulset.*", "app.kubernetes.io/*", "stormc.dev/*", "adapter.model.aibrix.ai/*",
    "model.aibrix.ai/adapter", "kueue.*", "*.x-k8s.io/*", "volcano.sh/*", "scheduling.*",
    "queue", "queue-name", "applicationid", "*koordinator*", "*yunikorn*", "*karpenter*", "hami.io/*",
    # GitOps and packaging
    "argocd.argoproj.io/*", "*.fluxcd.io/*", "helm.sh/*", "meta.helm.sh/*", "*kustomize*", "*reloader*",
    "keel.sh/*", "kapp.*", "*replicator*", "*reflector*", "kubed.*",
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
_SELECTING = ("affinity", "topologySpreadConstraints")
"""Fields whose labels are read, not written."""


def namespace(case: Case) -> Iterator[Breach]:
    """The namespace of the app."""
    name = case.app.namespace
    unusual = matches_any(_SYSTEM_NAMESPACES, name)
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
    """What opens Services, once per override, which may patch those of all pods in several fields."""
    reported: set[tuple[str, Path]] = set()
    if not case.app.overrides and not case.policy.covers("serviceTypes"):
        return  # stormc's own are all of type ClusterIP
    for manifest in case.manifests:
        if manifest["kind"] != "Service":
            continue
        by_place: dict[tuple[str, Path], list[tuple[Phrase, Breach]]] = {}
        for field, breach in _opened(case, manifest):
            by_place.setdefault((breach.rule, breach.path[:2]), []).append((field, breach))
        for place, found in by_place.items():
            if place not in reported:
                reported.add(place)
                yield _of_one_service(manifest["metadata"]["name"], found)


def _of_one_service(name: str, found: list[tuple[Phrase, Breach]]) -> Breach:
    fields, breaches = zip(*found, strict=True)
    path = breaches[0].path if len(found) == 1 else breaches[0].path[:4]  # the patch of its spec
    message = phrase("Service {name} has {fields}", name=name, fields=both(fields))
    return Breach(breaches[0].rule, path, message, breaches[0].hint, breaches[0].layer)


def _opened(case: Case, manifest: Mapping[str, Any]) -> Iterator[tuple[Phrase, Breach]]:
    """Fields of a Service by which it is reached from elsewhere, each with its breach."""
    spec = manifest.get("spec") or {}
    hint = phrase("remove it; clients inside the cluster use its name")
    kind = str(spec.get("type", "ClusterIP"))
    path = case.wrote(manifest, ("spec", "type"), ("overrides",), 2)
    field = phrase("type {kind}", kind=kind)
    for breach in case.breach(
        EXPOSURE, path, field, hint, key="serviceTypes", value=kind, unusual=kind != "ClusterIP"
    ):  # fmt: skip
        yield field, breach
    places: list[tuple[str, Path]] = [
        (field, ("spec", field))
        for field in (*_ADDRESSES, *_OWN_ADDRESS) if spec.get(field) and spec[field] not in ("None", ["None"])
    ]  # fmt: skip
    ports = enumerate(spec.get("ports") or ())
    places += [("nodePort", ("spec", "ports", index)) for index, port in ports if port.get("nodePort")]
    for name, where in places:
        if path := case.wrote(manifest, where, (), 2):
            yield from ((verbatim(name), breach) for breach in case.breach(EXPOSURE, path, verbatim(name), hint))


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
        if step in _SELECTING:
            continue
        if step in ("labels", "annotations", "matchLabels") and isinstance(value, Mapping):
            yield from (((*at, key), str(key)) for key, written in value.items() if written is not None)
        elif step == "metadata" and isinstance(value, Mapping):
            yield from (((*at, field), field) for field in _IDENTITY if value.get(field))
            yield from _patched_keys(value, at)
        else:
            yield from _patched_keys(value, at)
