"""Every key with a prefix of MindCluster, Volcano or AIBrix is one that they know.

A key that no supported release reads has no effect: either the release is newer than stormc, or the key is wrong.
"""

from __future__ import annotations

from collections.abc import Iterator

from stormc.facts.known_keys import NOUNS, RESERVED, TABLES
from stormc.phrase import phrase
from stormc.rules.rule import Example, Rule, Subject, Violation
from stormc.rules.storm_service import StormService
from stormc.rules.vocabulary import correct_key, right_table


def check(service: StormService) -> Iterator[Violation]:
    for template in service.templates:
        for table, keys in (("labels", template.labels), ("annotations", template.annotations)):
            for key in keys:
                is_known = key in TABLES[table] or not key.startswith(RESERVED)
                if not is_known and not right_table(table, key) and not correct_key(table, key):
                    path = service.wrote_key(template.role, table, key)
                    yield Violation(
                        path,
                        phrase("no supported release reads {noun} {key}", noun=NOUNS[table], key=key),
                        phrase("remove it"),
                        at_key=True,
                    )


RULE = Rule(
    "W052", __doc__, check,
    source="ascend-for-volcano common/util/constants.go; AIBrix constants/stormservice.go",
    bad=(
        Example("""
            decode:
              annotations:
                huawei.com/turbo: 'on'
            """, at="decode.annotations.huawei.com/turbo"),
    ),
    instead=(
        Example("""
            decode:
              annotations:
                example.com/turbo: 'on'
            """),
    ),
    subject=Subject.MANIFESTS,
)  # fmt: skip
