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
