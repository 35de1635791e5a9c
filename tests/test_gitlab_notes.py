"""The job of docs/review.md that writes notes on merge requests of GitLab: its script, with real git and curl."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from urllib.parse import parse_qs

import pytest
import yaml

from tests.samples import spec_text

PAGE = (Path(__file__).parents[1] / "docs/review.md").read_text(encoding="utf-8")
JOB = yaml.safe_load(re.findall(r"```yaml\n(notes:.*?)```", PAGE, flags=re.S)[0])["notes"]


class GitLab(BaseHTTPRequestHandler):
    """One open merge request and its notes."""

    notes: dict[int, str]
    calls: list[str]

    def do_GET(self) -> None:
        notes = [{"id": number, "body": body} for number, body in self.notes.items()]
        self._answer(notes if "/notes" in self.path else [{"iid": 7}])

    def do_POST(self) -> None:
        self.notes[max(self.notes) + 1] = self._body()
        self._answer({})

    def do_PUT(self) -> None:
        self.notes[int(self.path.rpartition("/")[2])] = self._body()
        self._answer({})

    def _body(self) -> str:
        return parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())["body"][0]

    def _answer(self, document: object) -> None:
        assert self.headers["PRIVATE-TOKEN"] == "secret"
        self.calls.append(self.command)
        text = json.dumps(document).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *args: object) -> None:
        """Says nothing."""


@pytest.fixture
def server() -> Iterator[tuple[str, type[GitLab]]]:
    kind = type("One", (GitLab,), {"notes": {1: "looks good"}, "calls": []})
    listening = HTTPServer(("127.0.0.1", 0), kind)
    Thread(target=listening.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{listening.server_port}", kind
    listening.shutdown()


def git(where: Path, *words: str) -> None:
    who = ["-c", "user.name=t", "-c", "user.email=t@example.com"]
    subprocess.run(["git", *who, *words], cwd=where, check=True, capture_output=True)


def test_one_note_is_written_and_then_updated(tmp_path: Path, server: tuple[str, type[GitLab]]) -> None:
    origin, clone = tmp_path / "origin", tmp_path / "clone"
    (origin / "specs").mkdir(parents=True)
    (origin / "specs/a.yaml").write_text(spec_text())
    git(origin, "init", "-q", "-b", "main")
    git(origin, "add", ".")
    git(origin, "commit", "-qm", "one")
    git(tmp_path, "clone", "-q", str(origin), str(clone))
    for replicas in (3, 4):
        (origin / "specs/a.yaml").write_text(spec_text(f"prefill: {{replicas: {replicas}}}"))
        git(origin, "commit", "-qam", "change")
        git(origin, "update-ref", "refs/merge-requests/7/head", "HEAD")
        done = run(clone, server[0])
        assert done.returncode == 0, done.stderr
    first, second = server[1].notes.values()
    assert first == "looks good" and second.startswith("<!-- stormc diff -->")
    assert "prefill.replicas 2 → 4" in second and server[1].calls == ["GET", "GET", "POST", "GET", "GET", "PUT"]


def run(clone: Path, address: str) -> subprocess.CompletedProcess[str]:
    known = {
        **os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "CI_API_V4_URL": address, "CI_PROJECT_ID": "1", "CI_COMMIT_BRANCH": "main", "NOTE_TOKEN": "secret",
    }  # fmt: skip
    return subprocess.run(["bash", "-ec", JOB["script"][0]], cwd=clone, env=known, capture_output=True, text=True)
