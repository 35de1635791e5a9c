"""Only `make test-clients` has the clients; `make test` leaves this directory out."""

from __future__ import annotations

from importlib.util import find_spec

collect_ignore_glob = [] if all(find_spec(name) for name in ("anthropic", "langchain_openai", "litellm")) else ["*"]
