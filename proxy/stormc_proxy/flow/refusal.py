"""What a client gets instead of an answer, and what an attempt leaves behind that another may mend."""

from __future__ import annotations

import json
from collections.abc import Sequence

from stormc_proxy.fleet.instance import Instance
from stormc_proxy.fleet.pool import Pool
from stormc_proxy.flow.api import error_value
from stormc_proxy.http.answer_head import Head
from stormc_proxy.http.failure import UpstreamError
from stormc_proxy.outcomes import Outcome

RETRY_AFTER_SECONDS = 5
MESSAGE_CHARACTERS = 300
_KINDS = {400: "invalid_request_error", 401: "authentication_error", 403: "permission_error", 404: "not_found",
          429: "rate_limit_error", 503: "service_unavailable"}  # fmt: skip
_JSON = (b"Content-Type", b"application/json")


class Refusal(Exception):
    """An answer other than the wanted one, for a client that has received nothing yet."""

    def __init__(
        self, outcome: Outcome, status: int, message: str, headers: Sequence[tuple[bytes, bytes]] = (),
        body: bytes | None = None, end: str = "", role: str = "",
    ) -> None:  # fmt: skip
        """`body` is an engine's own; else one is made of `message` in the words of the client's API.

        `end` is for the log, `role` that of the instances that failed.
        """
        super().__init__(message)
        self.outcome, self.status, self.message, self.body = outcome, status, message, body
        self.headers, self.end, self.role = headers, end or outcome.text, role
        self.sent = True
        """Whether an instance may have seen the request."""

    @classmethod
    def own(cls, outcome: Outcome, message: str = "", retry_after: int = 0) -> Refusal:
        """A refusal that is the proxy's own, with the outcome's status and words."""
        headers = [(b"Retry-After", b"%d" % retry_after)] if retry_after else []
        return cls(outcome, outcome.status, message or outcome.text, headers)

    @classmethod
    def of(cls, role: str, head: Head, body: bytes, outcome: Outcome) -> Refusal:
        """What an instance answered, as it is, unless it is nothing for a client."""
        if outcome.status:
            return cls(outcome, outcome.status, f"{role} instance: {outcome.text}", role=role)
        return cls(outcome, head.status, "", head.headers, body, f"{role} {head.status}", role)

    @classmethod
    def failed(cls, role: str, error: UpstreamError) -> Refusal:
        """What a client is told of an instance that did not answer."""
        outcome = error.outcome
        return cls(outcome, outcome.status, f"{role} instance: {outcome.text}", role=role)

    @property
    def kind(self) -> str:
        """The type of error, as the OpenAI API has it."""
        return _KINDS.get(self.status, "upstream_error" if self.status >= 500 else "invalid_request_error")

    @property
    def text(self) -> str:
        """The message, also of a body that is an engine's."""
        if self.body is None:
            return self.message
        try:
            error = json.loads(self.body)["error"]
            return str(error["message"] if isinstance(error, dict) else error)
        except (ValueError, KeyError, TypeError):
            return self.body.decode("utf-8", "replace")[:MESSAGE_CHARACTERS]

    def answer(self, dialect: str) -> tuple[Head, bytes]:
        """Head and body for the client."""
        if self.body is not None:
            return Head(self.status, b"", list(self.headers)), self.body
        value = error_value(dialect, self.status, self.message, self.kind)
        return Head(self.status, b"", [_JSON, *self.headers]), json.dumps(value, separators=(",", ":")).encode()


class Broken(Exception):
    """The answer cannot be completed, and part of it was sent; `instance` was about to."""

    def __init__(self, message: str, outcome: Outcome = Outcome.BROKEN, instance: Instance | None = None) -> None:
        """`message` is for the client."""
        super().__init__(message)
        self.outcome, self.instance = outcome, instance


class Unanswered(Exception):
    """An attempt failed at an instance; another one may answer. `sent`: the instance may have seen the request."""

    def __init__(self, refusal: Refusal, instance: Instance, sent: bool = True) -> None:
        """`refusal` is for the client when nobody else can answer."""
        super().__init__(refusal.end)
        self.refusal, self.instance, self.sent = refusal, instance, sent

    @property
    def doubtful(self) -> bool:
        """Whether the instance refused what another one may take."""
        return self.refusal.outcome is Outcome.DOUBTFUL


def blame(pool: Pool, doubted: Unanswered | None) -> None:
    """Another instance does what one refused: it was that one's fault."""
    if doubted is not None:
        pool.failed(doubted.instance, doubted.refusal.end)


def unavailable(role: str) -> Refusal:
    """The refusal for a request where no instance of a role can take one."""
    outcome = Outcome.NO_PREFILL if role == "prefill" else Outcome.NO_DECODE
    return Refusal.own(outcome, retry_after=RETRY_AFTER_SECONDS)
