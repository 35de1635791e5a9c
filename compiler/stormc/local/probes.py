"""What a kubelet and a person ask a pod over HTTP: whether it is ready, and what a proxy thinks of its instances."""

from __future__ import annotations

import asyncio
import json

from stormc.facts.limits import SERVING_ROLES
from stormc.tree.rendered_app import Manifest


async def passes(check: Manifest, address: str, env: dict[str, str]) -> bool:
    """Whether a probe succeeds; one that asks nothing does."""
    if "httpGet" in check:
        status = await get(address, check["httpGet"]["port"], check["httpGet"]["path"])
        return status[9:10] in (b"2", b"3")
    if "exec" not in check:
        return True
    probe = await asyncio.create_subprocess_exec(
        *check["exec"]["command"], env=env, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    try:
        async with asyncio.timeout(check.get("timeoutSeconds", 1)):
            return await probe.wait() == 0
    except TimeoutError:
        return False
    finally:
        if probe.returncode is None:
            probe.kill()


async def instances_of(address: str, port: int) -> dict[str, list[bool]]:
    """By host, whether each instance is healthy that the proxy routes to; nothing while the proxy does not answer."""
    answer = await get(address, port, "/status")
    try:
        status = json.loads(answer.partition(b"\r\n\r\n")[2])
    except ValueError:
        return {}
    healthy: dict[str, list[bool]] = {}
    for instance in (each for role in SERVING_ROLES for each in status.get(role, ())):
        host = instance["address"].rpartition(":")[0]
        healthy.setdefault(host, []).append(instance["state"] == "healthy")
    return healthy


async def get(host: str, port: int, path: str) -> bytes:
    """The answer to an HTTP GET, status line first; empty when there is none within a second."""
    try:
        async with asyncio.timeout(1):
            reader, writer = await asyncio.open_connection(host, port)
            try:
                writer.write(f"GET {path} HTTP/1.1\r\nHost: {host}:{port}\r\nConnection: close\r\n\r\n".encode())
                return await reader.read()
            finally:
                writer.close()
    except (OSError, TimeoutError):
        return b""
