"""Processes of the bench: each on a core, with its CPU as the scheduler counts it."""

from __future__ import annotations

import importlib.util
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path

_NGINX = """
daemon off; master_process off; pid {directory}/pid; error_log stderr crit;
events {{ worker_connections 8192; multi_accept on; }}
http {{
  access_log off; client_body_temp_path {directory}/body; proxy_temp_path {directory}/proxy;
  fastcgi_temp_path {directory}/f; uwsgi_temp_path {directory}/u; scgi_temp_path {directory}/s;
  client_body_buffer_size 1m; keepalive_requests 1000000;
  upstream engines {{ {servers} keepalive 512; keepalive_requests 1000000; }}
  server {{
    listen 127.0.0.1:{port} backlog=4096;
    proxy_http_version 1.1; proxy_set_header Connection ""; proxy_buffering off;
    location / {{ proxy_pass http://engines; }}
  }}
}}
"""


_WITHOUT_UVLOOP = """
import runpy, sys
sys.modules["uvloop"] = None
runpy.run_module("stormc_proxy", run_name="__main__", alter_sys=True)
"""


class Contestant:
    """A process group in front of engines, and where it listens."""

    def __init__(self, name: str, process: subprocess.Popen[bytes], port: int) -> None:
        """Listens already."""
        self.name, self.process, self.port = name, process, port

    def cpu_seconds(self) -> float:
        """CPU of all its threads and children so far."""
        return sum(_cpu_seconds(pid) for pid in _family(self.process.pid))

    def megabytes(self) -> float:
        """Resident memory of its first process."""
        text = Path(f"/proc/{self.process.pid}/statm").read_text()
        return int(text.split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


def _family(pid: int) -> Iterable[int]:
    yield pid
    for task in Path(f"/proc/{pid}/task").iterdir():
        for child in (task / "children").read_text().split():
            yield from _family(int(child))


def _cpu_seconds(pid: int) -> float:
    tasks = Path(f"/proc/{pid}/task").iterdir()
    return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks) / 1e9


def started(*words: object, core: int) -> subprocess.Popen[bytes]:
    """A command on one core."""
    cores = sorted(os.sched_getaffinity(0))
    chosen = {cores[core % len(cores)]}
    return subprocess.Popen(
        list(map(str, words)), stdout=subprocess.PIPE, preexec_fn=lambda: os.sched_setaffinity(0, chosen)
    )


def python(*words: object, core: int) -> subprocess.Popen[bytes]:
    """A module, with its arguments."""
    return started(sys.executable, "-m", *words, core=core)


def has_uvloop() -> bool:
    """Whether the proxy runs on uvloop here, as it does in the images of vLLM."""
    return importlib.util.find_spec("uvloop") is not None


def proxy(
    name: str, mode: str, port: int, prefill: list[int], decode: list[int], workers: int = 1, uvloop: bool = True
) -> Contestant:  # fmt: skip
    """This repository's proxy; with asyncio's own loop where `uvloop` is false."""
    module = ("-m", "stormc_proxy") if uvloop else ("-c", _WITHOUT_UVLOOP)
    process = started(
        sys.executable, *module, "--mode", mode, "--no-access-log", "--host", "127.0.0.1", "--port", port,
        "--workers", workers, "--prefiller-hosts", *["127.0.0.1"] * len(prefill), "--prefiller-ports", *prefill,
        "--decoder-hosts", *["127.0.0.1"] * len(decode), "--decoder-ports", *decode, core=0,
    )  # fmt: skip
    return ready(Contestant(name, process, port))


def relay(port: int, decode: list[int]) -> Contestant:
    """The plain relay of aiohttp."""
    return ready(Contestant("relay", python("tests.proxy.speed", "relay", port, decode[0], core=0), port))


def nginx(port: int, decode: list[int]) -> Contestant | None:
    """nginx with one hop; None where it is not installed."""
    program = shutil.which("nginx") or shutil.which("/usr/sbin/nginx")
    if program is None:
        return None
    directory = tempfile.mkdtemp()
    servers = " ".join(f"server 127.0.0.1:{each};" for each in decode)
    config = Path(directory, "nginx.conf")
    config.write_text(_NGINX.format(directory=directory, servers=servers, port=port))
    return ready(Contestant("nginx", started(program, "-c", config, "-p", directory, core=0), port))


def vllm_router(port: int, decode: list[int], metrics_port: int) -> Contestant | None:
    """vllm-router with one hop, round robin; None where it is neither installed nor named by VLLM_ROUTER."""
    program = os.environ.get("VLLM_ROUTER") or shutil.which("vllm-router", path=str(Path(sys.executable).parent))
    if not program:
        return None
    urls = [f"http://127.0.0.1:{each}" for each in decode]
    words = ("--worker-urls", *urls, "--host", "127.0.0.1", "--port", port, "--policy", "round_robin")
    process = started(program, *words, "--prometheus-port", metrics_port, "--log-level", "error", core=0)
    return ready(Contestant("vllm-router", process, port))


def ready(contestant: Contestant) -> Contestant:
    """The contestant, when its port answers. Raises SystemExit."""
    for _ in range(600):
        if contestant.process.poll() is not None:
            break
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", contestant.port)) == 0:
                return contestant
        time.sleep(0.05)
    contestant.process.terminate()
    raise SystemExit(f"{contestant.name}: nothing listens on {contestant.port}")


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens on now."""
    held = [socket.socket() for _ in range(count)]
    for each in held:
        each.bind(("127.0.0.1", 0))
    ports = [each.getsockname()[1] for each in held]
    for each in held:
        each.close()
    return ports
