"""How a request can end, and what follows from it, in one table.

Code asks the table, never the words of a message; the words are for people.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import Any, NamedTuple


class Meaning(NamedTuple):
    """What follows from an outcome, and how it is called."""

    counts: bool
    """A failure of the instance: it adds to what isolates it."""
    elsewhere: bool
    """Another instance may be tried, as long as the client has received nothing."""
    status: int
    """For the client, when nobody else answered; 0 is the instance's own."""
    text: str
    """In the log (`end`) and in the message for the client."""


class Outcome(Enum):
    """Why an exchange with an instance, or a client's request, ended as it did."""

    COMPLETE = Meaning(False, False, 0, "complete")
    CLIENT_GONE = Meaning(False, False, 499, "client_gone")
    # An instance, or the way to it
    NO_ADDRESS = Meaning(False, True, 502, "its name cannot be resolved")
    REFUSED = Meaning(True, True, 502, "connection refused")
    UNREACHABLE = Meaning(True, True, 502, "none of its addresses answers")
    NO_DESCRIPTORS = Meaning(False, True, 503, "the proxy has no descriptor or port left")
    CONNECT_TIMEOUT = Meaning(True, True, 504, "connect timeout")
    NOT_TRUSTED = Meaning(True, True, 502, "its TLS handshake failed")
    CONNECTION_CLOSED = Meaning(True, True, 502, "connection closed")
    RESET = Meaning(True, True, 502, "connection reset")
    CLOSED_EARLY = Meaning(True, True, 502, "connection closed early")
    MALFORMED = Meaning(True, True, 502, "malformed answer")
    EMPTY = Meaning(True, True, 0, "an answer that says nothing")
    TOO_LONG = Meaning(True, True, 502, "its answer has an event or a head that is too long")
    NO_ANSWER = Meaning(True, True, 504, "no answer in time")
    IDLE = Meaning(True, True, 504, "stream idle")
    SILENT = Meaning(True, True, 504, "no event in time after the prefill")
    UNHEALTHY = Meaning(True, True, 502, "its instance fails the health probe")
    SERVER_ERROR = Meaning(True, True, 0, "engine error")
    UNEXPECTED = Meaning(True, True, 502, "unexpected status")
    # An instance that refuses: another one is asked for a second opinion, and if that one answers, it was a failure.
    DOUBTFUL = Meaning(False, True, 0, "refused by an instance")
    # An instance that judges: its answer is the client's
    JUDGED = Meaning(False, False, 0, "refused")
    PREFILL_FAILED = Meaning(False, False, 0, "prefill failed")
    BROKEN = Meaning(False, False, 502, "broken")
    GIVEN_UP = Meaning(False, False, 503, "recomputed too often")
    # The proxy itself
    NO_PREFILL = Meaning(False, False, 503, "no prefill instance is available")
    NO_DECODE = Meaning(False, False, 503, "no decode instance is available")
    BAD_REQUEST = Meaning(False, False, 400, "invalid_request_error")
    NOT_HTTP = Meaning(False, False, 400, "malformed")
    UNAUTHORIZED = Meaning(False, False, 401, "unauthorized")
    NOT_FOUND = Meaning(False, False, 404, "not_found")
    WRONG_METHOD = Meaning(False, False, 405, "method_not_allowed")
    BODY_TIMEOUT = Meaning(False, False, 408, "body timeout")
    TOO_LARGE = Meaning(False, False, 413, "body too large")
    TOO_MANY = Meaning(False, False, 429, "too many requests")
    DRAINING = Meaning(False, False, 503, "draining")
    BUG = Meaning(False, False, 500, "internal_error")

    def __init__(self, *meaning: object) -> None:
        """Gives the columns of its row as attributes."""
        self.counts, self.elsewhere, self.status, self.text = Meaning(*meaning)  # type: ignore[arg-type]


_ANTHROPIC = {
    "invalid_request_error": 400, "authentication_error": 401, "permission_error": 403, "not_found_error": 404,
    "request_too_large": 413, "rate_limit_error": 429, "overloaded_error": 529,
}  # fmt: skip
SECOND_OPINION = frozenset((401, 403, 404, 405, 408, 413, 429, 501))
"""Statuses that may be the mistake of one instance: a wrong key, a model not loaded, a queue that is full."""


def of_status(status: int) -> Outcome:
    """The outcome that an engine's status stands for."""
    if status == 200:
        return Outcome.COMPLETE
    if status in SECOND_OPINION:
        return Outcome.DOUBTFUL
    if status < 400:
        return Outcome.UNEXPECTED  # a redirection leads nowhere a client could go
    return Outcome.SERVER_ERROR if status >= 500 else Outcome.JUDGED


def error_in(value: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The error that an answer of status 200, or an event of one, tells in any API; None if it tells none."""
    if value.get("type") == "response.failed" and isinstance(value.get("response"), dict):
        failed: Mapping[str, Any] = value["response"].get("error") or {}
        return failed
    error = value.get("error")
    if isinstance(error, dict):
        return error
    is_text = isinstance(error, str) and bool(error) and "choices" not in value
    return value if is_text or value.get("object") == "error" or value.get("type") == "error" else None


def of_error(error: Mapping[str, object]) -> int:
    """The status that an error event of a 200 stream stands for: `code` in vLLM's, the type in Anthropic's API."""
    code = error.get("code")
    code = int(code) if isinstance(code, str) and code.isascii() and code.isdigit() and len(code) == 3 else code
    if isinstance(code, int) and 400 <= code <= 599:
        return code
    return _ANTHROPIC.get(str(error.get("type")), 500)
