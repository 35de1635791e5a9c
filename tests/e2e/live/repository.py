"""A repository of specs and what they render to, served over HTTP as Git hosting serves it."""

from __future__ import annotations

import base64
import gzip
import subprocess
import threading
from collections.abc import Callable, Iterable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from stormc.actions.rendering import Rendered, render

IDENTITY = ("-c", "user.name=test", "-c", "user.email=test@example.com", "-c", "commit.gpgsign=false")
SERVICE = "git-upload-pack"


class Repository:
    """A working copy whose commits the engines see at `url`.

    Specs and rendered tree lie in its directory `top`. With a `password` the server asks for it, whatever the user.
    """

    def __init__(
        self,
        directory: Path,
        address: str,
        name: str = "inference",
        *,
        branch: str = "main",
        top: str = "",
        password: str = "",
    ) -> None:
        self.directory = directory / name / top
        self._password = password
        (self.directory / "specs").mkdir(parents=True)
        self._top = directory / name
        self._git("init", "-q", "-b", branch)
        self.fetches = 0
        self.result: Rendered | None = None
        self._server = ThreadingHTTPServer((address, 0), self._handler())
        self.url = f"http://{address}:{self._server.server_port}/{name}.git"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        """Ends the server."""
        self._server.shutdown()
        self._server.server_close()

    @property
    def rendered(self) -> Path:
        """Where the manifests are."""
        return self.directory / "rendered"

    def spec(self, name: str) -> Path:
        """The spec of an app, by its path below specs/ without suffix."""
        return self.directory / "specs" / f"{name}.yaml"

    def edit(self, name: str, change: Callable[[str], str]) -> str:
        """Changes a spec and commits it with what it renders to; gives the commit."""
        path = self.spec(name)
        before = path.read_text(encoding="utf-8")
        after = change(before)
        assert after != before, f"nothing changes in {name}"
        path.write_text(after, encoding="utf-8")
        return self.commit(f"Change {name}")

    def remove(self, name: str) -> str:
        """Removes a spec and what it rendered to; gives the commit."""
        self.spec(name).unlink()
        return self.commit(f"Remove {name}")

    def add(self, name: str, text: str) -> str:
        """Writes a spec and commits it with what it renders to; gives the commit."""
        path = self.spec(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return self.commit(f"Add {name}")

    def revert(self) -> str:
        """Reverts the last commit, rendered files and all; gives the commit."""
        self._git("revert", "--no-edit", "HEAD")
        return self.head()

    def told(self) -> str:
        """What `stormc render` said about services that leave the tree with the last commit."""
        assert self.result is not None
        return "\n".join(self.result.departures)

    def commit(self, message: str) -> str:
        """Renders and commits everything; gives the commit."""
        self.result = render(self.directory / "specs", self.rendered)
        assert self.result.plan is not None, self.result.findings
        return self.commit_specs(message)

    def commit_specs(self, message: str) -> str:
        """Commits everything that is there, and renders nothing; gives the commit."""
        self._git("add", "-A")
        self._git("commit", "-q", "-m", message)
        return self.head()

    def head(self) -> str:
        """The last commit."""
        return self._git("rev-parse", "HEAD").strip()

    def _git(self, *arguments: str) -> str:
        command = ["git", *IDENTITY, *arguments]
        return subprocess.run(command, cwd=self._top, check=True, capture_output=True, text=True).stdout

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        repository = self

        class Handler(BaseHTTPRequestHandler):
            """The smart protocol, read-only (gitprotocol-http): git itself answers."""

            def do_GET(self) -> None:
                if not repository.admits(self.headers.get("Authorization", "")):
                    self.send_response(401)
                    self.send_header("WWW-Authenticate", 'Basic realm="git"')
                    self.end_headers()
                    return
                if not self.path.endswith(f"/info/refs?service={SERVICE}"):
                    self.send_error(403)
                    return
                first = f"# service={SERVICE}\n"
                head = f"{len(first) + 4:04x}{first}0000".encode()
                refs = repository.upload_pack(self.headers.get("Git-Protocol", ""), b"", "--http-backend-info-refs")
                self._answer("advertisement", [head, refs])

            def do_POST(self) -> None:
                asked = self.rfile.read(int(self.headers["Content-Length"]))
                if self.headers.get("Content-Encoding") == "gzip":
                    asked = gzip.decompress(asked)
                repository.fetches += 1
                self._answer("result", [repository.upload_pack(self.headers.get("Git-Protocol", ""), asked)])

            def _answer(self, kind: str, parts: Iterable[bytes]) -> None:
                body = b"".join(parts)
                self.send_response(200)
                self.send_header("Content-Type", f"application/x-{SERVICE}-{kind}")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:
                pass

        return Handler

    def admits(self, authorization: str) -> bool:
        """Whether a request with this header may read."""
        told = base64.b64decode(authorization.partition(" ")[2]).decode()
        return not self._password or told.partition(":")[2] == self._password

    def upload_pack(self, protocol: str, asked: bytes, *options: str) -> bytes:
        """What git answers to a request of a client."""
        command = ["git", "upload-pack", "--stateless-rpc", *options, str(self._top / ".git")]
        environment = {"PATH": "/usr/bin:/bin:/usr/local/bin", **({"GIT_PROTOCOL": protocol} if protocol else {})}
        return subprocess.run(command, input=asked, env=environment, check=True, capture_output=True).stdout
