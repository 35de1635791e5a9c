"""The StormService around the pods: what AIBrix's controllers do with it, or silently do not."""

from __future__ import annotations

from collections.abc import Iterator

from stormc.facts.keys import Annotation, Label
from stormc.rules.finished import Finished
from stormc.rules.rule import IN_ROLE, Example, Rule, Sees, Violation, in_role, patched

LONGEST = len("prefill")
"""The longest role name for which the limits of app names leave room in the names of pods."""


def check_single(finished: Finished) -> Iterator[Violation]:
    """A StormService has one RoleSet, and its roles are stateful.

    MindCluster supports replicas 1 only: every further RoleSet is a shared PodGroup of its own. Pods of a stateless
    role have no index, so no Service leads to them.
    """
    if not finished.app.overrides:
        return
    if finished.storm["spec"].get("replicas") != 1:
        path = finished.wrote(("spec", "replicas"), ())
        yield Violation(path, "spec.replicas of the StormService is not 1", "set replicas of a role instead")
    for role, template in finished.serving:
        if not template.entry.get("stateful"):
            path = finished.wrote_role(role.name, ("stateful",), ())
            yield Violation(path, f"role {role.name} is not stateful", "leave stateful: true")


def check_numbers(finished: Finished) -> Iterator[Violation]:
    """replicas and podGroupSize of prefill and decode are the spec's.

    Services, gang size, ranks and the proxy's topology are made from the spec: pods that an override adds get no
    traffic, those that it takes away are missing from their gang, which then never starts.
    """
    if not finished.app.overrides:
        return
    for role, template in finished.serving:
        for field, wanted in (("replicas", role.replicas), ("podGroupSize", role.pod_group_size)):
            if template.entry.get(field, 1) != wanted:
                path = finished.wrote_role(role.name, (field,), ("overrides",))
                yield Violation(path, f"{role.name} has {field} {template.entry.get(field, 1)}, its Services and gang "
                                f"are made for {wanted}", f"set {role.name}.{field} instead")  # fmt: skip


def check_selector(finished: Finished) -> Iterator[Violation]:
    """The selector is the app's own, and the template carries it.

    AIBrix matches selectors in all namespaces at once: two StormServices with equal ones count, roll and delete each
    other's RoleSets. One that does not match its own template creates RoleSets without end.
    """
    if not finished.app.overrides:
        return
    spec = finished.storm["spec"]
    wanted = {Label.STORMC_APP: finished.app.identity}
    if spec.get("selector") != {"matchLabels": wanted}:
        path = finished.wrote(("spec", "selector", "matchLabels", Label.STORMC_APP), ("overrides",))
        yield Violation(path, "the selector is not the app's own", "leave the selector as it is")
    labels = (spec["template"].get("metadata") or {}).get("labels") or {}
    if not wanted.items() <= labels.items():
        path = finished.wrote(("spec", "template", "metadata", "labels", Label.STORMC_APP), ("overrides",))
        yield Violation(path, "the template lacks the label that the selector asks for", "leave it as it is")


def check_update(finished: Finished) -> Iterator[Violation]:
    """updateStrategy is InPlaceUpdate.

    RollingUpdate, AIBrix's default, replaces the whole RoleSet for any change of the template, a role's replicas
    included: with one RoleSet that is an outage of half an hour.
    """
    if (finished.storm["spec"].get("updateStrategy") or {}).get("type") != "InPlaceUpdate":
        path = finished.wrote(("spec", "updateStrategy", "type"), ("overrides",))
        yield Violation(path, "updateStrategy replaces all pods for any change", "leave type: InPlaceUpdate")


def check_roles(finished: Finished) -> Iterator[Violation]:
    """Roles that an override adds have short names.

    The name of a role is part of its pods' names, whose 63 characters the name of the app is measured for.
    """
    if not finished.app.overrides:
        return
    for template in finished.templates:
        name = template.role
        if len(name) > LONGEST:
            path = finished.wrote_role(name, (), ("overrides",))
            yield Violation(path, f"role {name} has {len(name)} characters, the limit is {LONGEST}", "shorten it")


def check_sidecar(finished: Finished) -> Iterator[Violation]:
    """AIBrix's webhook injects no sidecar.

    The annotation with any value, even "false", prepends a container to every role, routing included: Git and cluster
    differ for ever, and the pod templates, hence all pods, are replaced.
    """
    if not finished.app.overrides:
        return
    key = Annotation.SIDECAR_INJECTION
    if key in (finished.storm["metadata"].get("annotations") or {}):
        path = finished.wrote(("metadata", "annotations", key), ())
        yield Violation(path, f"{key} changes every pod template in the cluster", "patch in a container aibrix-runtime",
                        at_key=True)  # fmt: skip


def check_hostname(finished: Finished) -> Iterator[Violation]:
    """hostname and subdomain of a pod are AIBrix's.

    The controller sets both for every pod, whatever the template says.
    """
    if not finished.app.overrides:
        return
    for template in finished.templates:
        for field in ("hostname", "subdomain"):
            if field in template.pod:
                path = finished.wrote_pod(template.role, (field,), ())
                yield Violation(path, f"{field} of {template.role} is overwritten by AIBrix", "remove it", at_key=True)


def check_surge(finished: Finished) -> Iterator[Violation]:
    """A role updates by removing pods first.

    With maxUnavailable 0 an update waits for NPUs that nobody frees; with maxSurge two pods share an index, and the
    Service of one leads to both.
    """
    if not finished.app.overrides:
        return
    for role, template in finished.serving:
        strategy = template.entry.get("updateStrategy") or {}
        for field, wrong in (("maxSurge", bool(strategy.get("maxSurge"))),
                             ("maxUnavailable", strategy.get("maxUnavailable", 1) in (0, "0", "0%"))):  # fmt: skip
            if wrong:
                path = finished.wrote_role(role.name, ("updateStrategy", field), ())
                yield Violation(path, f"{role.name}.updateStrategy.{field} {strategy[field]} needs spare NPUs",
                                "leave maxUnavailable: 1")  # fmt: skip


def check_service_links(finished: Finished) -> Iterator[Violation]:
    """Services add no environment.

    With enableServiceLinks a Service named vllm-… becomes variables VLLM_…, some of which vLLM takes for settings, and
    every new Service of the namespace changes what the next pod sees.
    """
    if not finished.app.overrides:
        return
    for template in finished.templates:
        if finished.pods(template.role) and template.pod.get("enableServiceLinks", True):
            path = finished.wrote_pod(template.role, ("enableServiceLinks",), ("overrides",))
            yield Violation(path, f"{template.role} gets environment from Services", "leave enableServiceLinks: false")


_ROLE = patched("{spec: {template: {spec: {roles: [{name: %s}]}}}}")
_IN_ROLES = "overrides[0].patch.spec.template.spec.roles"
_SYNC = "AIBrix v0.5.0 pkg/controller/stormservice/sync.go"

RULES = (
    Rule(
        "E003", check_single, "MindCluster guide, StormService sample; AIBrix v0.5.0 roleset/utils.go:98-102",
        bad=(
            Example(patched("{spec: {replicas: 2}}"), "overrides[0].patch.spec.replicas"),
            Example(_ROLE % "decode, stateful: null", f"{_IN_ROLES}[0].stateful"),
        ),
        good=(Example(patched("{spec: {revisionHistoryLimit: 3}}")),),
        sees=Sees.MANIFESTS,
    ),
    Rule(
        "E072", check_numbers, "docs/architecture.md, passes scheduling and proxy; AIBrix v0.5.0 podset_controller.go",
        bad=(
            Example(_ROLE % "decode, podGroupSize: 4", f"{_IN_ROLES}[0].podGroupSize"),
            Example(_ROLE % "prefill, replicas: 3", f"{_IN_ROLES}[0].replicas"),
        ),
        good=(Example(_ROLE % "routing, replicas: 3"),),
        sees=Sees.MANIFESTS,
    ),
    Rule(
        "E054", check_selector, "AIBrix v0.5.0 stormservice/rolesetoperations.go:35-49, issue 2779",
        bad=(
            Example(patched("{spec: {selector: {matchLabels: {stormc.dev/app: shared}}}}"),
                    "overrides[0].patch.spec.selector.matchLabels.stormc.dev/app"),
            Example(patched("{spec: {template: {metadata: {labels: {stormc.dev/app: other}}}}}"),
                    "overrides[0].patch.spec.template.metadata.labels.stormc.dev/app"),
        ),
        good=(Example(patched("{spec: {template: {metadata: {labels: {a: b}}}}}")),),
        sees=Sees.MANIFESTS,
    ),
    Rule(
        "W055", check_update, f"{_SYNC}:254-336",
        bad=(Example(patched("{spec: {updateStrategy: {type: RollingUpdate}}}"),
                     "overrides[0].patch.spec.updateStrategy.type"),),
        good=(Example(patched("{spec: {updateStrategy: {maxUnavailable: 1}}}")),),
        sees=Sees.MANIFESTS,
    ),
    Rule(
        "E056", check_roles, "AIBrix v0.5.0 roleset/utils.go:98-100, podset_rollsyncer.go:388-390, issue 2562",
        bad=(
            Example(_ROLE % "long-name, replicas: 1, template: {spec: {containers: [{name: c, image: 'c:1'}]}}",
                    f"{_IN_ROLES}[0]"),
        ),
        good=(Example(_ROLE % "cache, replicas: 1, template: {spec: {containers: [{name: c, image: 'c:1'}]}}"),),
        sees=Sees.MANIFESTS,
    ),
    Rule(
        "E057", check_sidecar, "AIBrix v0.5.0 pkg/webhook/stormservice_webhook.go:56",
        bad=(Example(patched("{metadata: {annotations: {model.aibrix.ai/sidecar-injection: 'false'}}}"),
                     "overrides[0].patch.metadata.annotations.model.aibrix.ai/sidecar-injection"),),
        good=(Example(patched("{metadata: {annotations: {team: search}}}")),),
        sees=Sees.MANIFESTS,
    ),
    Rule(
        "W064", check_hostname, "AIBrix v0.5.0 roleset/utils.go:98-147, podset_controller.go:362",
        bad=(Example(in_role("decode", "{spec: {hostname: d}}"), f"{IN_ROLE}.spec.hostname"),),
        good=(Example(in_role("decode", "{spec: {dnsPolicy: Default}}")),),
        sees=Sees.MANIFESTS,
    ),
    Rule(
        "E069", check_surge, "AIBrix v0.5.0 roleset/rolling.go, constants/stormservice.go",
        bad=(
            Example(_ROLE % "decode, updateStrategy: {maxSurge: 1}", f"{_IN_ROLES}[0].updateStrategy.maxSurge"),
            Example(_ROLE % "decode, updateStrategy: {maxUnavailable: 0%}",
                    f"{_IN_ROLES}[0].updateStrategy.maxUnavailable"),
        ),
        good=(Example(_ROLE % "decode, updateStrategy: {maxUnavailable: 2}"),),
        sees=Sees.MANIFESTS,
    ),
    Rule(
        "W071", check_service_links, "Kubernetes core/v1 PodSpec.enableServiceLinks; vllm envs.py reads VLLM_PORT",
        bad=(Example(in_role("decode", "{spec: {enableServiceLinks: null}}"), f"{IN_ROLE}.spec.enableServiceLinks"),),
        good=(Example(in_role("decode", "{spec: {dnsPolicy: Default}}")),),
        sees=Sees.MANIFESTS,
    ),
)  # fmt: skip
