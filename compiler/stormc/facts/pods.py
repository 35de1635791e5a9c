"""What Kubernetes calls the parts of a pod, and what it assumes where a field is not set (core/v1 types.go)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

CONTAINERS_OF_TEMPLATES = ("initContainers", "containers")
CONTAINER_LISTS = (*CONTAINERS_OF_TEMPLATES, "ephemeralContainers")
"""The lists of containers in a pod; ephemeral ones are added to running pods only."""
PROBES = ("startupProbe", "readinessProbe", "livenessProbe")
HANDLERS = ("exec", "grpc", "httpGet", "tcpSocket")
"""How a probe asks; exactly one of them must be there."""
PROBE_PERIOD_SECONDS = 10
PROBE_FAILURES = 3
"""Failures in a row after which the kubelet acts."""
GRACE_SECONDS = 30
"""terminationGracePeriodSeconds."""
INTERFACE = "eth0"
"""The network interface of a pod that has a network of its own, as all common CNI plugins name it."""
SHELLS = ("sh", "bash", "dash", "ash", "zsh")
"""Programs of images that run the script behind their option -c."""


def seconds_until_failure(probe: Mapping[str, Any]) -> int:
    """Seconds from the start of a container until the kubelet acts on a probe that never succeeds."""
    attempts = int(probe.get("failureThreshold", PROBE_FAILURES))
    return int(probe.get("initialDelaySeconds", 0)) + attempts * int(probe.get("periodSeconds", PROBE_PERIOD_SECONDS))
