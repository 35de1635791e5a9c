"""What an answer of status 200 may turn out to be."""

from __future__ import annotations

import json
from typing import Any

import pytest

from stormc_proxy.flow.exchange import error_status
from stormc_proxy.flow.prefill import _answer_object
from stormc_proxy.outcomes import error_in, of_error


@pytest.mark.parametrize(("value", "status"), [
    ({"error": {"message": "no KV cache", "code": 500}}, 500),
    ({"error": {"message": "no KV cache", "code": "404"}}, 404),
    ({"error": {"message": "full", "type": "overloaded_error"}}, 529),
    ({"error": {}}, 500),
    ({"error": "no KV cache"}, 500),
    ({"error": "too long", "code": 400}, 400),
    ({"object": "error", "message": "too long", "type": "BadRequestError", "code": 400}, 400),
    ({"type": "error", "error": {"type": "rate_limit_error", "message": "later"}}, 429),
    ({"error": None, "id": "resp_1", "object": "response"}, 0),
    ({"error": "", "id": "1"}, 0),
    ({"id": "cmpl-1", "choices": [{"text": "an \"error\""}], "usage": {}}, 0),
    ({"error": "of a client", "choices": []}, 0),
])  # fmt: skip
def test_errors_with_status_200(value: dict[str, Any], status: int) -> None:
    assert error_status(json.dumps(value).encode()) == status
    error = error_in(value)
    assert (of_error(error) if error is not None else 0) == status
    assert (_answer_object(json.dumps(value).encode()) is None) == bool(status)


@pytest.mark.parametrize(("value", "status"), [
    ({"type": "response.failed", "response": {"error": {"code": "server_error", "message": "no"}}}, 500),
    ({"type": "response.failed", "response": {"error": None}}, 500),
    ({"type": "response.created", "response": {"error": None}}, 0),
])  # fmt: skip
def test_error_events(value: dict[str, Any], status: int) -> None:
    error = error_in(value)
    assert (of_error(error) if error is not None else 0) == status
