"""A policy as ValidatingAdmissionPolicies: what one StormService, Service or NetworkPolicy shows, in CEL.

The API server evaluates them on every write, so that what passes by stormc meets the same rules. Source of the form:
Kubernetes, Validating Admission Policy (admissionregistration.k8s.io/v1, since v1.30). What needs more than one object,
or the spec, is not carried: docs/security.md lists it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from stormc.facts.keys import Label
from stormc.facts.kinds import API_VERSIONS
from stormc.policy.cel import Rule, whole
from stormc.policy.cel_objects import network_policy_rules, service_rules
from stormc.policy.cel_pods import pod_rules
from stormc.policy.policy import Policy

API_VERSION = "admissionregistration.k8s.io/v1"
ACTIONS = ("Audit", "Warn")
"""What a binding does at first: `Deny` is for a person to write, once nothing is audited any more."""
VARIABLES = {
    "roles": "object.?spec.?template.?spec.?roles.orValue([])",
    "pods": "variables.roles.map(r, r.?template.?spec.orValue({}))",
    "containers": (
        "variables.pods.map(p, p.?containers.orValue([]) + p.?initContainers.orValue([]) "
        "+ p.?ephemeralContainers.orValue([]))"
    ),
}


def admission(policy: Policy, name: str) -> Iterator[dict[str, Any]]:
    """The policies of admission, each with a binding that audits and warns; their names begin with `name`."""
    of_stormc = f"object.?metadata.?labels[?'{Label.MANAGED_BY}'].orValue('') == 'stormc'"
    listed = [patterns for _, patterns in policy.values("namespaces")]
    inside = " && ".join(whole("request.namespace", patterns) for patterns in listed) or of_stormc
    group, _, version = API_VERSIONS["StormService"].partition("/")
    kinds: tuple[tuple[str, str, str, list[Rule], str, dict[str, str]], ...] = (
        ("stormservices", group, version, list(pod_rules(policy)), "true", VARIABLES),
        ("services", "", "v1", list(service_rules(policy)), inside, {}),
        ("networkpolicies", "networking.k8s.io", "v1", list(network_policy_rules()), of_stormc, {}),
    )
    for resource, group, version, rules, condition, variables in kinds:
        full = f"{name}-{resource}"
        rule = {"apiGroups": [group], "apiVersions": [version], "operations": ["CREATE", "UPDATE"],
                "resources": [resource]}  # fmt: skip
        spec = {
            "failurePolicy": "Fail",
            "matchConstraints": {"resourceRules": [rule]},
            "matchConditions": [{"name": "of-the-policy", "expression": condition}],
            "variables": [{"name": key, "expression": value} for key, value in variables.items()],
            "validations": [
                {"expression": expression, "message": f"{id_}: {message}", "reason": "Forbidden"}
                for id_, message, expression in rules
            ],
        }
        yield _object("ValidatingAdmissionPolicy", full, {key: value for key, value in spec.items() if value})
        yield _object("ValidatingAdmissionPolicyBinding", full, {"policyName": full, "validationActions": [*ACTIONS]})


def _object(kind: str, name: str, spec: dict[str, Any]) -> dict[str, Any]:
    return {"apiVersion": API_VERSION, "kind": kind, "metadata": {"name": name}, "spec": spec}
