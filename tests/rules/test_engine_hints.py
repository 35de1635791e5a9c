"""What the findings about the engine's variables and lengths tell people to do."""

from __future__ import annotations

import pytest

from tests.samples import findings

HINTS = [
    ("E058", "decode: {env: {LD_LIBRARY_PATH: '/opt/lib:$(LD_LIBRARY_PATH)'}}",
     "to put it before the image's own: LD_LIBRARY_PATH: {prepend: /opt/lib}"),
    ("E058", "decode: {env: {A: $(LATER)}}",
     "write the value itself, or a reference, such as {fieldRef: {fieldPath: status.podIP}}"),
    ("W720", "decode: {env: {PATH: '$PATH:/opt/bin:/srv/bin'}}",
     "to put it before the image's own: PATH: {prepend: /opt/bin:/srv/bin}"),
    ("W720", "decode: {env: {LOGS: $HOME/logs}}", "write the value itself"),
    ("E709", "engine: {args: {enable-chunked-prefill: false, max-model-len: 64K, max-num-batched-tokens: 64k}}",
     "at least 65536 batched tokens, or leave chunked prefill on"),
]  # fmt: skip


@pytest.mark.parametrize(("rule", "overlay", "hint"), HINTS)
def test_a_hint_says_what_to_write(rule: str, overlay: str, hint: str) -> None:
    assert {f.hint for f in findings(overlay) if f.rule == rule} == {hint}


def test_what_both_roles_do_wrong_at_one_place_is_one_finding_also_of_a_policy() -> None:
    messages = [f.message for f in findings("engine: {args: {api-key: abc}}") if f.rule == "W815"]
    assert messages == ["flag '--api-key' of prefill and decode holds a secret in plain text"]


def test_a_pasted_kv_port_is_found_where_it_stands() -> None:
    config = "{kv_connector: MooncakeConnectorV1, kv_role: kv_producer, kv_port: 20001}"
    (found,) = [f for f in findings(f"prefill: {{engineArgs: {{kv-transfer-config: {config}}}}}") if f.rule == "W038"]
    assert found.path == ("prefill", "engineArgs", "kv-transfer-config", "kv_port")
