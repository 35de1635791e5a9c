"""Volumes of people's own beside those of stormc, in every role and at the top level."""

from __future__ import annotations

import pytest

from tests.engine.reported import reported

CLAIM = "persistentVolumeClaim: c"
TAKEN = [
    (f"volumes: [{{mountPath: /mnt/models, {CLAIM}}}]", "volumes[0]"),
    ("volumes: [{mountPath: /etc/hccn.conf, configMap: c}]", "volumes[0]"),
    ("decode: {volumes: [{mountPath: /dev/shm/, emptyDir: {}}]}", "decode.volumes[0]"),
    (f"prefill: {{volumes: [{{mountPath: /opt/stormc/launcher, {CLAIM}}}]}}", "prefill.volumes[0]"),
    (f"volumes: [{{mountPath: /data, {CLAIM}}}, {{mountPath: /data/, emptyDir: {{}}}}]", "volumes[1]"),
    (f"volumes: [{{mountPath: /data, name: shm, {CLAIM}}}]", "volumes[0]"),
    (f"volumes: [{{mountPath: /data, name: hccn-conf, {CLAIM}}}]", "volumes[0]"),
    (f"volumes: [{{mountPath: /a, name: v, {CLAIM}}}, {{mountPath: /b, name: v, emptyDir: {{}}}}]", "volumes[1]"),
    ("volumes: [{mountPath: /usr/lib, emptyDir: {}}]", "volumes[0]"),
    ("routing: {volumes: [{mountPath: /tmp, emptyDir: {}}]}", "routing.volumes[0]"),
    ("routing: {volumes: [{mountPath: /etc/stormc/proxy, emptyDir: {}}]}", "routing.volumes[0]"),
]


@pytest.mark.parametrize(("spec", "place"), TAKEN)
def test_a_taken_directory_is_reported_and_breaks_nothing(spec: str, place: str) -> None:
    assert reported(spec) == {("E076", place)}


FREE = [
    f"volumes: [{{mountPath: /data, {CLAIM}}}, {{mountPath: /data/cache, emptyDir: {{}}}}]",
    f"volumes: [{{mountPath: /a, name: v, {CLAIM}}}, {{mountPath: /b, name: v, {CLAIM}, readOnly: true}}]",
    f"{{volumes: [{{mountPath: /data, {CLAIM}}}], decode: {{volumes: [{{mountPath: /data, emptyDir: {{}}}}]}}}}",
    "routing: {volumes: [{mountPath: /data, emptyDir: {}}]}",
]


@pytest.mark.parametrize("spec", FREE)
def test_a_free_directory_is_accepted(spec: str) -> None:
    assert reported(spec) == set()
