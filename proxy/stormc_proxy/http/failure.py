"""What an exchange with an engine fails with."""

from __future__ import annotations

from stormc_proxy.outcomes import Outcome


class UpstreamError(Exception):
    """An instance did not answer as it should; `sent` tells whether it may have seen the request."""

    def __init__(self, outcome: Outcome, sent: bool = True) -> None:
        """`outcome` says what happened."""
        super().__init__(outcome.text)
        self.outcome, self.sent = outcome, sent
