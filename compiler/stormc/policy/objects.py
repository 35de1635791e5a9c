"""What an app does with its other objects: namespace, Services, network policies, metadata, overrides."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from stormc.finding import Path, dotted
from stormc.model.app import Override
from stormc.phrase import phrase
from stormc.policy.breach import Breach, Case
from stormc.policy.concerns import COMMAND, EXPOSURE, METADATA, NAMESPACE, NETWORK, OVERRIDE
from stormc.policy.policy import matches

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
_ADDRESSES = ("externalIPs", "externalName", "loadBalancerIP", "loadBalancerSourceRanges")
_ACTING = (
    "app",
    "k8s-app",
    "app.kubernetes.io/*",
    "stormc.dev/*",
    "argocd.argoproj.io/*",
    "*.fluxcd.io/*",
    "kustomize.toolkit.fluxcd.io/*",
    "helm.sh/*",
    "meta.helm.sh/*",
    "*istio.io/*",
    "linkerd.io/*",
    "*.cncf.io/*",
    "*apparmor*",
    "*seccomp*",
    "kubernetes.io/*",
    "*.kubernetes.io/*",
    "cni.*",
    "ovn.*",
    "adapter.model.aibrix.ai/*",
    "model.aibrix.ai/adapter",
    "pod-security.*",
    "external-dns*",
    "*cert-manager.io/*",
)
"""Keys by which Services of others, meshes, networks, GitOps engines and admission act; * is any characters."""


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
    """Types and addresses of Services."""
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
            unusual=kind not in ("ClusterIP", "NodePort"),
        )
        for field in _ADDRESSES:
            if spec.get(field):
                path = case.wrote(manifest, ("spec", field), ("overrides",), 2)
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
    hint = phrase("remove it, or use a prefix of your own")
    for role in (*case.app.serving_roles, case.app.routing):
        for table in ("labels", "annotations"):
            for key in getattr(role, table):
                if _acts(key):
                    path: Path = (role.name, table, key)
                    yield from case.breach(
                        METADATA,
                        path,
                        phrase("{key} of {role} is a key by which others act", key=key, role=role.name),
                        hint,
                    )
    for index, override in enumerate(case.app.overrides):
        for path, key in _patched_keys(override.patch, ("overrides", index, "patch")):
            yield from case.breach(
                METADATA,
                path,
                phrase("overrides[{index}] writes {key}, by which others act", index=index, key=key),
                hint,
            )
        if override.kind == "ConfigMap" and set(override.patch) & {"data", "binaryData"}:
            path = ("overrides", index, "patch")
            yield from case.breach(
                COMMAND,
                path,
                phrase("overrides[{index}] replaces what a ConfigMap of stormc holds", index=index),
                phrase("use the fields of the spec"),
            )


def _acts(key: str) -> bool:
    return any(matches(pattern, key) for pattern in _ACTING)


def _patched_keys(node: Any, path: Path) -> Iterator[tuple[Path, str]]:
    items = node.items() if isinstance(node, Mapping) else enumerate(node) if isinstance(node, list) else ()
    for step, value in items:
        at: Path = (*path, step)
        if step in ("labels", "annotations", "matchLabels") and isinstance(value, Mapping):
            yield from (((*at, key), key) for key in value if _acts(str(key)))
        elif step == "finalizers" and value:
            yield at, "finalizers"
        else:
            yield from _patched_keys(value, at)


def overrides(case: Case) -> Iterator[Breach]:
    """Which paths overrides change, who answers for them, and whether they end."""
    policy = case.policy
    for index, override in enumerate(case.app.overrides):
        at: Path = ("overrides", index)
        for number, patterns in policy.values("overrides", "deny"):
            for path in _leaves(override.patch, ()):
                pattern = next((each for each in patterns if covers(each, _steps(override, path))), None)
                if pattern:
                    yield Breach(
                        OVERRIDE.forbidden.id,
                        (*at, "patch", *path),
                        phrase("{path} is denied", path=dotted((*at, "patch", *path))),
                        phrase("{file} denies {pattern}", file=policy.layers[number].file, pattern=pattern),
                        number,
                    )
                    break
        for number, patterns in policy.values("overrides", "allow"):
            for path in _leaves(override.patch, ()):
                if not any(covers(each, _steps(override, path)) for each in patterns):
                    yield Breach(
                        OVERRIDE.forbidden.id,
                        (*at, "patch", *path),
                        phrase("{path} is not allowed", path=dotted((*at, "patch", *path))),
                        phrase(
                            "{file} allows: {patterns}", file=policy.layers[number].file, patterns=", ".join(patterns)
                        ),
                        number,
                    )
                    break
        for number, approvers in policy.values("overrides", "approvers"):
            if override.owner not in approvers:
                yield Breach(
                    OVERRIDE.forbidden.id,
                    (*at, "owner"),
                    phrase("overrides[{index}].owner is no approver", index=index),
                    phrase("approvers: {approvers}", approvers=", ".join(approvers)),
                    number,
                )
                break
        for number, _ in policy.values("overrides", "expires"):
            if not override.expires:
                yield Breach(
                    OVERRIDE.forbidden.id,
                    at,
                    phrase("overrides[{index}] has no last day", index=index),
                    phrase("add expires: YYYY-MM-DD"),
                    number,
                )
                break


def _leaves(node: Any, path: Path) -> Iterator[Path]:
    """The paths of everything that a patch says, list items by number; the collections on the way come first."""
    items = node.items() if isinstance(node, Mapping) else enumerate(node) if isinstance(node, list) else ()
    for step, value in items:
        yield (*path, step)
        yield from _leaves(value, (*path, step))


def _steps(override: Override, path: Path) -> tuple[str, ...]:
    return (override.kind, *map(str, path))


def covers(pattern: str, steps: tuple[str, ...]) -> bool:
    """Whether a pattern of a policy stands for a path of a patch, or for one it lies in: `**.securityContext`."""
    wanted = pattern.split(".")
    for start in (0, 1):
        reached = _spread(wanted, {0})
        for step in steps[start:]:
            if len(wanted) in reached:
                return True
            stays = {at for at in reached if wanted[at] == "**"}
            moves = {at + 1 for at in reached if wanted[at] != "**" and matches(wanted[at], step)}
            reached = _spread(wanted, stays | moves)
        if len(wanted) in reached:
            return True
    return False


def _spread(wanted: list[str], reached: set[int]) -> set[int]:
    """The places of a pattern that are reached without a further step: ** may stand for none."""
    spread = set(reached)
    for at, step in enumerate(wanted):
        if at in spread and step == "**":
            spread.add(at + 1)
    return spread
