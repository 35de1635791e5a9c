"""Keys that stormc or a controller writes are set through the spec field that owns them.

A second value for such a key either loses without a word or breaks what reads it: a gang size that contradicts the
replicas leaves the PodGroup Pending, and a label role-name set by hand cuts the pod off from its Service.
"""

from __future__ import annotations

from collections.abc import Iterator

from stormc.facts.known_keys import OWNED, Key, Use
from stormc.model.app import App
from stormc.model.profile import Platform
from stormc.phrase import phrase
from stormc.rules.rule import Example, Rule, Violation
from stormc.rules.storm_service import MAPS
from stormc.rules.vocabulary import known_as


def check(app: App, platform: Platform) -> Iterator[Violation]:
    owned = known_as(*OWNED)
    for role in (*app.serving_roles, app.routing):
        for table, attribute in MAPS.items():
            for key in [key for key in getattr(role, attribute) if key in owned[table]]:
                owner = owned[table][key]
                hint = phrase("use {known}", known=owner.text) if owner.use is Use.FIELD else phrase("remove it")
                path = (role.name, table, key)
                yield Violation(
                    path,
                    phrase(
                        "{role}.{table}.{key} is set by {known}",
                        role=role.name,
                        table=table,
                        key=key,
                        known=_writer(owner),
                    ),
                    hint,
                    at_key=True,
                )


def _writer(key: Key) -> str:
    return "stormc" if key.use is Use.FIELD else key.text


RULE = Rule(
    "E033", __doc__, check,
    source="MindCluster guide, parameter table; "
    "AIBrix v0.5.0 pkg/controller/constants/stormservice.go:19-47, podset_controller.go:373-377",
    bad=(
        Example("""
            decode:
              annotations:
                huawei.com/schedule_minAvailable: '3'
            """, at="decode.annotations.huawei.com/schedule_minAvailable"),
        Example("""
            prefill:
              env:
                POD_GROUP_INDEX: '0'
            """, at="prefill.env.POD_GROUP_INDEX"),
        Example("""
            prefill:
              labels:
                role-name: p
            """, at="prefill.labels.role-name"),
        Example("""
            decode:
              annotations:
                hccl/rankIndex: '0'
            """, at="decode.annotations.hccl/rankIndex"),
        Example("""
            routing:
              nodeSelector:
                accelerator-type: card
            """, at="routing.nodeSelector.accelerator-type"),
    ),
    instead=(
        Example("""
            decode:
              env:
                HCCL_BUFFSIZE: 600
              labels:
                team: search
              nodeSelector:
                zone: a
            """),
    ),
)  # fmt: skip
