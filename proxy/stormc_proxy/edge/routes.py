"""Which path is answered by whom."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping
from functools import partial
from typing import Any

from stormc_proxy.edge.admin import Admin
from stormc_proxy.edge.callbacks import PATH as CALLBACK_PATH
from stormc_proxy.edge.callbacks import Callbacks
from stormc_proxy.edge.connection import Request
from stormc_proxy.edge.engine_requests import EngineRequests
from stormc_proxy.edge.pages import Pages
from stormc_proxy.flow.api import GENERATING, error_value
from stormc_proxy.http.reply import Reply, json_reply
from stormc_proxy.outcomes import Outcome

Answerer = Callable[[Request], "Reply | Coroutine[Any, Any, Reply | bool]"]
FORWARDED = {
    "POST": ("/v1/embeddings", "/tokenize", "/detokenize", "/rerank", "/v1/rerank", "/v2/rerank", "/score",
             "/v1/score", "/pooling", "/classify", "/v1/messages/count_tokens"),
    "GET": ("/v1/models", "/version"),
}  # fmt: skip
MODELS = "/v1/models/"
_METHODS = b"GET, POST, OPTIONS"


class Routes:
    """Finds who answers a request: by method and path."""

    def __init__(
        self,
        engine_requests: EngineRequests,
        pages: Pages,
        admin: Admin,
        callbacks: Callbacks | None,
        ended: Callable[[Outcome], None],
    ) -> None:
        """`callbacks` are here only when they have no port of their own; `ended` hears of what nobody answers."""
        self._engine_requests, self._callbacks, self._ended = engine_requests, callbacks, ended
        self._table = _table(engine_requests, pages, admin)
        self._paths = {path for _, path in self._table}

    def respond(self, request: Request) -> Reply | Coroutine[Any, Any, Reply | bool]:
        """The answer, or a coroutine that gives it."""
        head = request.head
        method, path = head.method, head.path
        answerer = self._table.get(("GET" if method == "HEAD" else method, path))
        if answerer is not None:
            return answerer(request)
        if self._callbacks is not None and path.startswith(CALLBACK_PATH):
            return self._callbacks.respond(request)
        if method == "OPTIONS" and (path in self._paths or path == "*" or path.startswith(MODELS)):
            return Reply(200, b"", fields=_preflight(head.get(b"access-control-request-headers")))
        if method in ("GET", "HEAD") and path.startswith(MODELS):
            return self._engine_requests.forward(path, request)
        if path in self._paths:
            self._ended(Outcome.WRONG_METHOD)
            methods = ", ".join(sorted({m for m, known_path in self._table if known_path == path} | {"OPTIONS"}))
            return _error(Outcome.WRONG_METHOD, f"{path} does not take this method", ((b"Allow", methods.encode()),))
        self._ended(Outcome.NOT_FOUND)
        return _error(Outcome.NOT_FOUND, "no such path")


class CallbackRoutes:
    """Finds who answers on a port that is for decode's callbacks alone."""

    def __init__(self, callbacks: Callbacks, ended: Callable[[Outcome], None]) -> None:
        """`ended` hears of what nobody answers."""
        self._callbacks, self._ended = callbacks, ended

    def respond(self, request: Request) -> Reply | Coroutine[Any, Any, Reply | bool]:
        """The answer, or a coroutine that gives it."""
        if request.head.path.startswith(CALLBACK_PATH):
            return self._callbacks.respond(request)
        self._ended(Outcome.NOT_FOUND)
        return _error(Outcome.NOT_FOUND, "no such path")


def _error(outcome: Outcome, message: str, fields: tuple[tuple[bytes, bytes], ...] = ()) -> Reply:
    value = error_value("openai", outcome.status, message, "invalid_request_error")
    return json_reply(outcome.status, value, fields)


def _table(engine_requests: EngineRequests, pages: Pages, admin: Admin) -> Mapping[tuple[str, str], Answerer]:
    """What answers each method and path."""
    table: dict[tuple[str, str], Answerer] = {
        ("POST", "/reset_prefix_cache"): admin.reset_prefix_cache,
        ("POST", "/instances/add"): admin.instances,
        ("POST", "/instances/remove"): admin.instances,
        ("GET", "/healthcheck"): pages.healthcheck,
        ("GET", "/livez"): pages.livez,
        ("GET", "/metrics"): pages.metrics,
        ("GET", "/status"): pages.status,
        ("GET", "/"): pages.page,
    }
    for path in ("/readyz", "/health", "/ping"):
        table["GET", path] = pages.readyz
    table["POST", "/ping"] = pages.readyz
    for api in GENERATING.values():
        table["POST", api.path] = partial(engine_requests.generate, api)
    for method, paths in FORWARDED.items():
        for path in paths:
            table[method, path] = partial(engine_requests.forward, path)
    return table


def _preflight(headers: str) -> tuple[tuple[bytes, bytes], ...]:
    requested_headers = headers.encode("latin-1") or b"Authorization, Content-Type"
    return (
        (b"Access-Control-Allow-Methods", _METHODS), (b"Access-Control-Allow-Headers", requested_headers),
        (b"Access-Control-Max-Age", b"600"), (b"Allow", _METHODS),
    )  # fmt: skip
