"""A probe asks a port on which its container listens.

The engine and the proxy listen on the ports that their containers declare. A probe of another port fails forever: a
startup or liveness probe restarts the container again and again, a readiness probe keeps the pod out of service. A
port given by name must be declared by the container of the probe.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from stormc.facts.keys import Directory
from stormc.facts.pods import HANDLERS, PROBES
from stormc.phrase import phrase
from stormc.rules.pods import containers, wrote
from stormc.rules.rule import Example, Rule, Subject, Violation
from stormc.rules.storm_service import StormService
from stormc.targets.programs import PROXY_PACKAGE

OURS = (Directory.LAUNCHER, PROXY_PACKAGE)
"""What the commands of stormc name: such a container listens on the ports that it declares and on no others."""


def check(service: StormService) -> Iterator[Violation]:
    for template, kind, container in containers(service):
        declared = [port for port in container.get("ports") or () if isinstance(port, Mapping)]
        numbers = [port.get("containerPort") for port in declared]
        ours = any(word in str(part) for part in container.get("command") or () for word in OURS)
        for name in PROBES:
            port = _port(container.get(name) or {})
            if port is None or (
                port in numbers if isinstance(port, int) else port in [p.get("name") for p in declared]
            ):
                continue
            if isinstance(port, str) or ours:
                message = phrase(
                    "{probe} of container {container} in {role} asks port {port}, on which nothing listens",
                    probe=name, container=container["name"], role=template.role, port=port,
                )  # fmt: skip
                hint = phrase("it declares {ports}", ports=", ".join(map(str, numbers)) or "-")
                yield Violation(wrote(service, template, kind, container["name"], name), message, hint)


def _port(probe: Mapping[str, Any]) -> int | str | None:
    """The port of the pod that a probe asks; None where it asks none, or another host."""
    for handler in HANDLERS:
        check = probe.get(handler)
        if isinstance(check, Mapping) and not check.get("host"):
            port = check.get("port")
            return port if isinstance(port, (int, str)) else None
    return None


RULE = Rule(
    "E087", __doc__, check,
    source="Kubernetes core/v1 Probe; pkg/kubelet/prober, resolveContainerPort",
    bad=(
        Example(at="template.spec.containers[0].readinessProbe", role="decode", template="""
            spec:
              containers:
              - name: decode
                readinessProbe:
                  httpGet:
                    port: 8000
            """),
        Example(at="template.spec.containers[0].livenessProbe", role="prefill", template="""
            spec:
              containers:
              - name: prefill
                livenessProbe:
                  tcpSocket:
                    port: http
            """),
    ),
    good=(
        Example(role="decode", template="""
            spec:
              containers:
              - name: decode
                livenessProbe:
                  tcpSocket:
                    port: rank-0
                readinessProbe:
                  httpGet:
                    port: 8081
              - name: beside
                image: registry.local/beside:1
                livenessProbe:
                  tcpSocket:
                    port: 7000
            """),
    ),
    subject=Subject.MANIFESTS,
    only_when_overridden=True,
)  # fmt: skip
