"""The status page in a real browser. `python -m tests.proxy.test_page DIRECTORY` takes the pictures in docs/."""

from __future__ import annotations

import asyncio
import contextlib
import re
import shutil
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from tests.proxy.client import ask, question
from tests.proxy.manner import Manner
from tests.proxy.service import Service, run, service, until

DOCS = Path(__file__).parent.parent.parent / "docs"
CHROMIUM = shutil.which("chromium") or ""
FLAGS = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--hide-scrollbars",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--virtual-time-budget=4000",
)  # fmt: skip
NAMES: dict[str, Any] = {"app": "chat", "namespace": "inference", "model": "Qwen/Qwen3-235B-A22B"}
needs_browser = pytest.mark.skipif(not CHROMIUM, reason="no chromium on this machine; .ci/run installs it")

PHONE = """<!doctype html><body><iframe src="page" style="border:0;width:420px;height:900px"></iframe>
<script>setTimeout(() => { const page = document.querySelector("iframe").contentDocument.documentElement;
  document.title = `width ${page.scrollWidth} text ${page.innerText.includes("last failure")}`; }, 3000)
</script>"""


async def browse(url: str, profile: Path, *flags: str) -> str:
    """What the browser printed after it ran a page for four seconds of its time."""
    asked = await asyncio.create_subprocess_exec(
        CHROMIUM, *FLAGS, f"--user-data-dir={profile}", *flags, url,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    out, _ = await asyncio.wait_for(asked.communicate(), 120)
    return out.decode()


async def traffic(s: Service, seconds: float) -> None:
    """Streams for so long."""
    end = asyncio.get_running_loop().time() + seconds
    while True:
        await asyncio.gather(*(s.ask(question(True, True)) for _ in range(4)))
        if asyncio.get_running_loop().time() > end:
            return


async def visit(profile: Path, seconds: float, incident: bool, *flags: str, phone: bool = False) -> str:
    """The page of a proxy with traffic; in an incident one of three decode instances is faulty."""
    manner = Manner(token_seconds=0.01)
    async with service("layerwise", decode=3, probe_interval_seconds=0.2, manner=manner, **NAMES) as s:
        if incident:
            s.decode[1].manner = Manner(fault="500", health=503)
            await until(lambda: s.instance(s.decode[1]).state == "faulty", 20.0)
        await traffic(s, seconds)
        url = f"http://127.0.0.1:{s.port}/"
        if phone:
            async with framed(s) as url:
                return await browse(url, profile, *flags)
        return await browse(url, profile, *flags)


@contextlib.asynccontextmanager
async def framed(s: Service) -> AsyncIterator[str]:
    """The page in a frame as wide as a phone, on a server of its own, so that the frame's size may be asked for."""
    page, status = [(await ask(s.port, "GET", path)).body for path in ("/", "/status")]
    found = {"/": PHONE.encode(), "/page": page, "/status": status}

    async def serve(request: web.BaseRequest) -> web.Response:
        return web.Response(body=found.get(request.path), content_type="text/html")

    runner = web.ServerRunner(web.Server(serve))
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}/"
    await runner.cleanup()


def words(page: str) -> str:
    """The text of the page, without its program."""
    return " ".join(re.sub(r"<[^>]+>", " ", page.partition("<script>")[0]).split())


@needs_browser
def test_the_page_in_an_incident(tmp_path: Path) -> None:
    page = run(visit(tmp_path, 2.2, True, "--dump-dom"), 180)
    text = words(page)
    assert "<title>decode 1 of 3 faulty · chat · inference</title>" in page
    assert "model Qwen/Qwen3-235B-A22B · namespace inference · pod " in text
    assert "Prefill: all 2 in order" in text and "Decode: 1 of 3 faulty" in text
    assert re.search(r"faulty score ∞ · .* failed · [1-9]\d* counted last failure [0-9:]{8} \(\d+ s ago\): \S", text), (
        text
    )
    assert page.count("<details") == 2 and page.count('<details open=""') == 1, "pods with a fault are unfolded"
    assert re.search(r"complete [1-9]", text) and re.search(r"first token p50, p99 \d+ ms, \d", text), text
    assert re.search(r"between tokens p50, p99 \d+ ms, \d+ ms", text), text
    assert re.search(
        r"Requests per second; in five minutes [1-9]\d* requests \d+ failed [1-9]\d* 0 \d\d:\d\d:\d\d ", text
    )
    assert len(re.findall(r"<polyline[^>]* points=\"[0-9.]+,[0-9.]+ ", page)) == 3, "history has points"
    assert not re.search(r"(src|href)=\"(?!data:)", page), "self-contained"


@needs_browser
def test_the_page_when_all_is_well(tmp_path: Path) -> None:
    page = run(visit(tmp_path, 1.2, False, "--dump-dom"), 180)
    assert "<title>ready · chat · inference</title>" in page
    assert "Decode: all 3 in order" in words(page) and '<details open=""' not in page


@needs_browser
def test_the_page_fits_a_phone(tmp_path: Path) -> None:
    page = run(visit(tmp_path, 1.2, True, "--dump-dom", phone=True), 180)
    assert "<title>width 420 text true</title>" in page, re.findall("<title>.*</title>", page)


if __name__ == "__main__":
    for name, incident, size in (
        ("", False, "1000,640"),
        ("-incident", True, "1000,760"),
        ("-phone", True, "420,1180"),
    ):
        picture = DOCS / f"proxy-status{name}.png"
        run(visit(Path(sys.argv[1]), 30.0, incident, f"--screenshot={picture}", f"--window-size={size}"), 180)
