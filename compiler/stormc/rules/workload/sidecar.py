"""AIBrix's webhook injects no sidecar.

The annotation with any value, even "false", prepends a container to every role, routing included: Git and cluster
differ for ever, and the pod templates, hence all pods, are replaced.
"""

from __future__ import annotations

from collections.abc import Iterator

from stormc.facts.keys import Annotation
from stormc.phrase import phrase
from stormc.rules.rule import Example, Rule, Subject, Violation
from stormc.rules.storm_service import StormService


def check(service: StormService) -> Iterator[Violation]:
    key = Annotation.SIDECAR_INJECTION
    if key in (service.manifest["metadata"].get("annotations") or {}):
        path = service.wrote(("metadata", "annotations", key), ())
        yield Violation(
            path,
            phrase("{key} changes every pod template in the cluster", key=key),
            phrase("remove it; an override of containers can add aibrix-runtime"),
            at_key=True,
        )


RULE = Rule(
    "E057", __doc__, check,
    source="AIBrix v0.5.0 pkg/webhook/stormservice_webhook.go:56",
    bad=(
        Example("""
            overrides:
            - target: StormService
              reason: a trial
              owner: team-a
              patch:
                metadata:
                  annotations:
                    model.aibrix.ai/sidecar-injection: 'false'
            """, at="overrides[0].patch.metadata.annotations.model.aibrix.ai/sidecar-injection"),
    ),
    instead=(
        Example("""
            overrides:
            - target: StormService
              reason: a trial
              owner: team-a
              patch:
                metadata:
                  annotations:
                    team: search
            """),
    ),
    subject=Subject.MANIFESTS,
    only_when_overridden=True,
)  # fmt: skip
