"""Fault recovery: the labels, the annotation, restartPolicy and grace period must form one policy."""

from __future__ import annotations

from stormc.facts.keys import Label
from stormc.rules.storm_service import Template


def asks_for_retries(template: Template) -> bool:
    """Whether Volcano is asked to reschedule pods that failed."""
    value = template.labels.get(Label.FAULT_RETRY_TIMES, "0")
    return value.isascii() and value.isdigit() and int(value) > 0
