"""A key that is almost one of MindCluster's, Volcano's or AIBrix's is that key, misspelt.

All three ignore keys that they do not know, without a word: with `subHeathyStrategy`, which a shipped example of
the k8s-deploy-tool contains, sub-healthy chips are used on as if nothing had been configured.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from stormc.facts.known_keys import NOUNS, TABLES
from stormc.phrase import phrase
from stormc.rules.rule import Example, Rule, Subject, Violation
from stormc.rules.storm_service import StormService, Template
from stormc.rules.vocabulary import correct_key, right_table


def _tables(template: Template) -> tuple[tuple[str, Mapping[str, str]], ...]:
    return (
        ("labels", template.labels), ("annotations", template.annotations), ("nodeSelector", template.node_selector),
    )  # fmt: skip


def check(service: StormService) -> Iterator[Violation]:
    for template in service.templates:
        for table, keys in _tables(template):
            for key in keys:
                meant_key = None if key in TABLES[table] or right_table(table, key) else correct_key(table, key)
                if meant_key:
                    path = service.wrote_key(template.role, table, key)
                    yield Violation(
                        path,
                        phrase("{noun} {key} is unknown", noun=NOUNS[table], key=key),
                        phrase("did you mean {known}?", known=meant_key),
                        at_key=True,
                    )


RULE = Rule(
    "E051", __doc__, check,
    source="ascend-for-volcano plugin/job.go:607-615; k8s-deploy-tool stormservice-config.yaml",
    bad=(
        Example("""
            decode:
              labels:
                subHeathyStrategy: graceExit
            """, at="decode.labels.subHeathyStrategy"),
        Example("""
            prefill:
              annotations:
                huawei.com/sp_block: '16'
            """, at="prefill.annotations.huawei.com/sp_block"),
        Example("""
            prefill:
              annotations:
                schedule_minavailable: '2'
            """, at="prefill.annotations.schedule_minavailable"),
        Example("""
            decode:
              nodeSelector:
                acelerator-type: card
            """, at="decode.nodeSelector.acelerator-type"),
        Example(at="template.metadata.labels.pod-reschedulin", role="decode", template="""
            metadata:
              labels:
                pod-reschedulin: 'on'
            """),
    ),
    instead=(
        Example("""
            decode:
              labels:
                app: qwen
                team: search
                job-id: a
              env:
                VLLM_LOGGING_LEVEL: INFO
              nodeSelector:
                beta.kubernetes.io/arch: arm64
            """),
    ),
    subject=Subject.MANIFESTS,
)  # fmt: skip
