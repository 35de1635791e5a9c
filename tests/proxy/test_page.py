"""The status page in a real browser. `python -m tests.proxy.test_page` takes the picture in docs/."""

from __future__ import annotations

import asyncio
import re
import shutil
import sys
from pathlib import Path

import pytest

from tests.proxy.client import question
from tests.proxy.engine import Manner
from tests.proxy.service import Service, run, service, until

PICTURE = Path(__file__).parent.parent.parent / "docs" / "proxy-status.png"
CHROMIUM = shutil.which("chromium") or ""
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--virtual-time-budget=4000", "--window-size=1000,760",
)  # fmt: skip


async def browse(s: Service, profile: Path, *flags: str) -> str:
    """What the browser printed after it ran the page for four seconds of its time."""
    url = f"http://127.0.0.1:{s.port}/"
    asked = await asyncio.create_subprocess_exec(
        CHROMIUM, *FLAGS, f"--user-data-dir={profile}", *flags, url,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    out, _ = await asyncio.wait_for(asked.communicate(), 60)
    return out.decode()


async def visit(profile: Path, seconds: float, *flags: str) -> str:
    """The page of a proxy with traffic and one faulty decode instance."""
    async with service("layerwise", decode=3, probe_interval_seconds=0.2, manner=Manner(token_seconds=0.01)) as s:
        s.decode[1].manner = Manner(fault="500", health=503)
        await until(lambda: s.instance(s.decode[1]).state == "faulty", 5.0)
        end = asyncio.get_running_loop().time() + seconds
        while True:
            await asyncio.gather(*(s.ask(question(True, True)) for _ in range(4)))
            if asyncio.get_running_loop().time() > end:
                break
        return await browse(s, profile, *flags)


@pytest.mark.skipif(not CHROMIUM, reason="no chromium on this machine; .ci/run installs it")
def test_the_page_shows_every_instance_and_what_it_does(tmp_path: Path) -> None:
    page = run(visit(tmp_path, 2.2, "--dump-dom"), 90)
    text = re.sub(r"<[^>]+>", " ", page.partition("<script>")[0])
    assert re.search(r"Routing proxy\s+ready\s+layerwise", text), text
    assert text.count("healthy") == 4 and len(re.findall(r"faulty\s+∞", text)) == 1, text
    assert re.search(r"complete\s+[1-9]", text), text
    assert len(re.findall(r"<polyline[^>]* points=\"[0-9.]+,[0-9.]+ ", page)) == 2, "history has points"
    assert not re.search(r"(src|href)=", page), "self-contained"


if __name__ == "__main__":
    run(visit(Path(sys.argv[1]), 20.0, f"--screenshot={PICTURE}"), 120)
