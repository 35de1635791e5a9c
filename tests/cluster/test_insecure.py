"""A kubeconfig that trusts any certificate: the cluster answers, and nobody prints a warning per request."""

from __future__ import annotations

import json
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import trustme


class Empty(BaseHTTPRequestHandler):
    """An API server that has the kinds and no object."""

    def do_GET(self) -> None:
        body = json.dumps({"kind": "List", "items": []}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def url() -> Iterator[str]:
    """Where it listens, with a certificate that nobody knows."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Empty)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    trustme.CA().issue_cert("127.0.0.1").configure_cert(context)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"https://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize("insecure", [True, False])
def test_no_warning_of_a_library_is_printed(url: str, insecure: bool, tmp_path: Path) -> None:
    config = {
        "apiVersion": "v1", "kind": "Config", "current-context": "c",
        "clusters": [{"name": "k", "cluster": {"server": url, "insecure-skip-tls-verify": insecure}}],
        "users": [{"name": "u", "user": {"token": "t"}}],
        "contexts": [{"name": "c", "context": {"cluster": "k", "user": "u"}}],
    }  # fmt: skip
    path = tmp_path / "kubeconfig"
    path.write_text(json.dumps(config), encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "stormc", "status", "--all", "--kubeconfig", str(path)], capture_output=True, text=True
    )
    assert "Warning" not in done.stderr
    if insecure:
        assert (done.returncode, done.stderr) == (0, "no app of stormc was found\n")
    else:
        assert done.returncode == 2 and "certificate" in done.stderr
