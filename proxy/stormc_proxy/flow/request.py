"""What all attempts for one prompt share: where it came from and what is passed on with it."""

from __future__ import annotations

from stormc_proxy.fleet.instance import Instance
from stormc_proxy.flow.api import Api
from stormc_proxy.flow.body import Body
from stormc_proxy.flow.router import Router
from stormc_proxy.flow.stream import Stream
from stormc_proxy.telemetry.journal import Record
from stormc_proxy.telemetry.tracing import Span


class ClientRequest:
    """One prompt of a client, one answer."""

    __slots__ = ("api", "body", "fields", "line", "record", "router", "stream")

    def __init__(
        self, router: Router, api: Api, body: Body, fields: bytes, record: Record, stream: Stream | None
    ) -> None:
        """`fields` are the client's headers, as lines, to be passed on; `stream` is for streamed answers only."""
        self.router, self.api, self.body, self.fields = router, api, body, fields
        self.record, self.stream = record, stream
        self.line = b"POST %b HTTP/1.1\r\n" % api.path.encode()

    def leg(self, role: str, instance: Instance) -> Span | None:
        """The span of a request to an engine; None if this one is not traced."""
        if self.record.span is None:
            return None
        span = self.record.span.child(role)
        span.attributes.update({"server.address": instance.address.host, "server.port": instance.address.port})
        return span

    @property
    def started(self) -> bool:
        """Whether the client has received part of the answer."""
        return self.stream is not None and self.stream.started
