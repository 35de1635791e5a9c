"""A probe has one handler, and only readiness may need several successes.

A patch adds its handler to the one that is there. The StormService is accepted with two, or none; its pods are not.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from stormc.facts.pods import HANDLERS, PROBES
from stormc.phrase import Phrase, both, phrase
from stormc.rules.pods import containers, wrote
from stormc.rules.rule import Example, Rule, Subject, Violation
from stormc.rules.storm_service import StormService


def check(service: StormService) -> Iterator[Violation]:
    for template, kind, container in containers(service):
        for name in PROBES:
            wrong = _probe_problem(name, container.get(name))
            if wrong:
                path = wrote(service, template, kind, container["name"], name)
                message = phrase(
                    "{name} of container {container} in {role} {wrong}",
                    name=name,
                    container=container["name"],
                    role=template.role,
                    wrong=wrong[0],
                )
                yield Violation(path, message, wrong[1])


def _probe_problem(name: str, probe: Mapping[str, Any] | None) -> tuple[Phrase, Phrase] | None:
    if probe is None:
        return None
    handlers = [handler for handler in HANDLERS if handler in probe]
    if len(handlers) > 1:
        return phrase("has {handlers}", handlers=both(handlers)), phrase("keep one, and set the others to null")
    if not handlers:
        return phrase("asks nothing"), phrase("add one of {handlers}", handlers=", ".join(HANDLERS))
    if name != "readinessProbe" and probe.get("successThreshold", 1) != 1:
        return phrase("has successThreshold {success_threshold}", success_threshold=probe["successThreshold"]), phrase(
            "only a readinessProbe may have another than 1"
        )
    return None


RULE = Rule(
    "E074", __doc__, check,
    source="Kubernetes core/v1 validation of pods; AIBrix CRD v0.5.0 does not check it",
    bad=(
        Example(at="template.spec.containers[0].readinessProbe", role="prefill", template="""
            spec:
              containers:
              - name: prefill
                readinessProbe:
                  tcpSocket:
                    port: 8080
            """),
        Example(at="template.spec.containers[0].livenessProbe", role="decode", template="""
            spec:
              containers:
              - name: decode
                livenessProbe:
                  periodSeconds: 5
            """),
        Example(at="template.spec.containers[0].livenessProbe", role="decode", template="""
            spec:
              containers:
              - name: decode
                livenessProbe:
                  grpc:
                    port: 8080
                  successThreshold: 2
            """),
    ),
    good=(
        Example(role="decode", template="""
            spec:
              containers:
              - name: decode
                livenessProbe:
                  exec:
                    command:
                    - a
            """),
    ),
    subject=Subject.MANIFESTS,
    only_when_overridden=True,
)  # fmt: skip
