"""Usage that tells how many prompt tokens prefill had in its cache; decode cannot know."""

from __future__ import annotations

import json
import re

from stormc_proxy.flow.body import dumped
from stormc_proxy.flow.exchange import Answer
from stormc_proxy.flow.resume import with_cached_tokens

_TOLD = re.compile(rb'("cached_tokens":\s*)(?:\d+|null)')


def with_cached(answer: Answer | None, cached: int | None, add: bool) -> Answer | None:
    """The answer with prefill's number in its usage; unchanged where prefill told none.

    `add`: also where decode tells none.
    """
    if answer is None or cached is None:
        return answer
    head, body = answer
    usage = body.rfind(b'"usage"')
    if usage < 0:
        return answer
    told = list(_TOLD.finditer(body, usage))
    if len(told) == 1:
        return Answer(head, body[: told[0].end(1)] + b"%d" % cached + body[told[0].end() :])
    if not add:
        return answer
    try:
        value = json.loads(body)
    except ValueError:
        return answer
    if not isinstance(value, dict) or not isinstance(value.get("usage"), dict):
        return answer
    value["usage"] = with_cached_tokens(value["usage"], cached)
    return Answer(head, dumped(value).encode())
