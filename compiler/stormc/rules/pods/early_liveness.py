"""A liveness probe lets the engine load its model.

Without a startup probe the kubelet asks from the first second on. Loading takes up to `engine.startupSeconds`; a
liveness probe that gives up earlier kills a healthy engine, each time at the same point.
"""

from __future__ import annotations

from collections.abc import Iterator

from stormc.facts.pods import seconds_until_failure
from stormc.phrase import phrase
from stormc.rules.pods import wrote
from stormc.rules.rule import Example, Rule, Subject, Violation
from stormc.rules.storm_service import StormService


def check(service: StormService) -> Iterator[Violation]:
    needed = service.app.engine.startup_seconds
    for role, template in service.serving:
        for container in template.containers:
            probe = container.get("livenessProbe")
            if container.get("name") != role.name or not probe or container.get("startupProbe"):
                continue
            seconds = seconds_until_failure(probe)
            if seconds < needed:
                message = phrase(
                    "{role}: without a startup probe the liveness probe kills the engine after {seconds} s, "
                    "loading may take {needed} s",
                    role=role.name, seconds=seconds, needed=needed,
                )  # fmt: skip
                path = wrote(service, template, "containers", role.name, "livenessProbe")
                yield Violation(path, message, phrase("leave the startup probe as it is"))


RULE = Rule(
    "E088", __doc__, check,
    source="Kubernetes core/v1 Probe: liveness waits for startup only where there is a startup probe",
    bad=(
        Example(at="template.spec.containers[0].livenessProbe", role="decode", template="""
            spec:
              containers:
              - name: decode
                livenessProbe:
                  tcpSocket:
                    port: 8080
                startupProbe: null
            """),
    ),
    instead=(
        Example(role="decode", template="""
            spec:
              containers:
              - name: decode
                livenessProbe:
                  tcpSocket:
                    port: 8080
            """),
    ),
    good=(
        Example(role="decode", template="""
            spec:
              containers:
              - name: decode
                livenessProbe:
                  tcpSocket:
                    port: 8080
                  initialDelaySeconds: 7200
                startupProbe: null
            """),
    ),
    subject=Subject.MANIFESTS,
    only_when_overridden=True,
)  # fmt: skip
