"""Usage that tells how many prompt tokens prefill had in its cache; decode cannot know."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from stormc_proxy.flow.body import dumped
from stormc_proxy.flow.exchange import Answer

_CACHED = re.compile(rb'("cached_tokens":\s*)(?:\d+|null)')


def answer_with_cached(answer: Answer | None, cached: int | None, add: bool) -> Answer | None:
    """The answer with prefill's number in its usage; unchanged where prefill reported none.

    `add`: also where decode tells none.
    """
    if answer is None or cached is None:
        return answer
    head, body = answer
    usage = body.rfind(b'"usage"')
    if usage < 0:
        return answer
    counts = list(_CACHED.finditer(body, usage))
    if len(counts) == 1:
        return Answer(head, body[: counts[0].end(1)] + b"%d" % cached + body[counts[0].end() :])
    if not add:
        return answer
    try:
        value = json.loads(body)
    except ValueError:
        return answer
    if not isinstance(value, dict) or not isinstance(value.get("usage"), dict):
        return answer
    value["usage"] = usage_with_cached(value["usage"], cached)
    return Answer(head, dumped(value).encode())


def usage_with_cached(usage: Mapping[str, Any], cached: int) -> dict[str, Any]:
    """Usage with prefill's number among its details."""
    details = usage.get("prompt_tokens_details")
    known_details = details if isinstance(details, dict) else {}
    return {**usage, "prompt_tokens_details": {**known_details, "cached_tokens": cached}}
