"""What the proxy is told: the command line of the reference proxies, or a JSON config file, as one frozen value.

The flags are those of vllm-ascend's examples/disaggregated_prefill_v1/load_balance_proxy_*_server_example.py, and their
unique prefixes are part of the contract: MindCluster's start_proxy.sh passes --prefiller-port and --decoder-port.
A config file wins over flags where it names a setting; it is the form that the compiler writes.
"""

from __future__ import annotations

import argparse
import ipaddress
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, NamedTuple

MODES = ("layerwise", "standard")
ROLES = ("prefill", "decode")
RESUMES = ("continue", "first-message")
_WILDCARDS = ("0.0.0.0", "::", "0:0:0:0:0:0:0:0")


class SettingsError(ValueError):
    """A setting that cannot work, in one line for the operator."""


class Address(NamedTuple):
    """Where an engine listens: a name or an IP literal without brackets, and a port."""

    host: str
    port: int

    def __str__(self) -> str:
        """`host:port`, an IPv6 literal in brackets."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True)
class Settings:
    """Everything that can be set. Seconds are seconds, bytes are bytes; 0 switches a limit off where said."""

    mode: str = "layerwise"
    host: str = "localhost"
    port: int = 8000
    advertise_host: str = ""
    metaserver_port: int = 0
    prefill: tuple[Address, ...] = (Address("localhost", 8001),)
    decode: tuple[Address, ...] = (Address("localhost", 8002),)
    max_failures: int = 3
    cumulative_failures: bool = False
    probe_interval_seconds: float = 5.0
    probe_timeout_seconds: float = 2.0
    slow_start_seconds: float = 0.0
    max_backoff_seconds: float = 0.0
    max_isolated_percent: int = 100
    panic: bool = False
    max_retries: int = 3
    retry_delay: float = 0.001
    retry_budget_percent: int = 100
    connect_timeout_seconds: float = 3.0
    response_timeout_seconds: float = 0.0
    stream_idle_timeout_seconds: float = 0.0
    prefix_weight: float = 5.0
    prefix_keys: int = 100_000
    max_recomputes: int = 8
    chat_resume: str = "continue"
    metaserver_ack: str = "early"
    max_body_bytes: int = 64 * 1024 * 1024
    max_requests: int = 4096
    drain_seconds: float = 30.0
    max_waiting_retries: int = 3
    waiting_retry_interval: float = 10.0
    workers: int = 1
    access_log: bool = True
    api_key: str = field(default="", repr=False)
    admin_token: str = field(default="", repr=False)
    flags: Settings | None = field(default=None, repr=False, compare=False)
    """The settings without the config file's; None where there is none."""

    @property
    def metaserver_url(self) -> str:
        """What decode instances call back; layerwise mode only."""
        return f"http://{Address(self.advertise_host or self.host, self.metaserver_port or self.port)}/v1/metaserver"

    def addresses(self, role: str) -> tuple[Address, ...]:
        """The instances of `prefill` or `decode`."""
        return self.prefill if role == "prefill" else self.decode


_CONFIG_KEYS = {
    "mode": "mode",
    "host": "host",
    "port": "port",
    "advertiseHost": "advertise_host",
    "metaserverPort": "metaserver_port",
    "maxFailures": "max_failures",
    "cumulativeFailures": "cumulative_failures",
    "probeIntervalSeconds": "probe_interval_seconds",
    "probeTimeoutSeconds": "probe_timeout_seconds",
    "slowStartSeconds": "slow_start_seconds",
    "maxBackoffSeconds": "max_backoff_seconds",
    "maxIsolatedPercent": "max_isolated_percent",
    "panic": "panic",
    "maxRetries": "max_retries",
    "retryBudgetPercent": "retry_budget_percent",
    "connectTimeoutSeconds": "connect_timeout_seconds",
    "responseTimeoutSeconds": "response_timeout_seconds",
    "streamIdleTimeoutSeconds": "stream_idle_timeout_seconds",
    "prefixWeight": "prefix_weight",
    "prefixKeys": "prefix_keys",
    "maxRecomputes": "max_recomputes",
    "chatResume": "chat_resume",
    "metaserverAck": "metaserver_ack",
    "maxBodyBytes": "max_body_bytes",
    "maxRequests": "max_requests",
    "drainSeconds": "drain_seconds",
    "accessLog": "access_log",
}
FIXED_AT_START = (
    "mode",
    "host",
    "port",
    "advertise_host",
    "metaserver_port",
    "max_body_bytes",
    "prefix_keys",
    "workers",
)
"""Settings that a reload of the config file cannot change; a change is logged and waits for the next start."""


def parser() -> argparse.ArgumentParser:
    """The command line; prefixes of flags are accepted."""
    base = Settings()
    p = argparse.ArgumentParser(
        prog="python -m stormc_proxy",
        description="Routes OpenAI requests to vLLM prefill and decode instances, isolates the faulty, lets them back.",
        epilog="OPENAI_API_KEY: bearer token for the instances. PROXY_ADMIN_TOKEN: the one that opens /instances/*.",
    )
    p.add_argument(
        "--mode",
        choices=MODES,
        default=base.mode,
        help="layerwise: decode first, it calls /v1/metaserver; standard: prefill first (%(default)s)",
    )
    p.add_argument("--config", metavar="FILE", help="JSON config file; wins over flags; reloaded when it changes")
    p.add_argument("--host", default=base.host, help="address to listen on (default %(default)s)")
    p.add_argument("--port", type=int, default=base.port, help="port to listen on (default %(default)s)")
    p.add_argument(
        "--advertise-host",
        default="",
        metavar="HOST",
        help="address that decode instances call back; default: --host, which then must not be a wildcard",
    )
    p.add_argument(
        "--metaserver-port",
        type=int,
        default=0,
        metavar="PORT",
        help="serve /v1/metaserver on this port alone; default: on --port",
    )
    for role, flag, port in (("prefill", "prefiller", 8001), ("decode", "decoder", 8002)):
        p.add_argument(
            f"--{flag}-hosts",
            nargs="+",
            default=["localhost"],
            metavar="HOST",
            help=f"hosts of the {role} instances, one per port (default localhost)",
        )
        p.add_argument(
            f"--{flag}-ports",
            nargs="+",
            type=int,
            default=[port],
            metavar="PORT",
            help=f"ports of the {role} instances (default {port})",
        )
    p.add_argument(
        "--max-retries",
        type=int,
        default=base.max_retries,
        metavar="N",
        help="attempts per request, the first one included (default %(default)s)",
    )
    p.add_argument(
        "--retry-delay",
        type=float,
        default=base.retry_delay,
        metavar="SECONDS",
        help="pause before the second attempt, doubled for each further one (default %(default)s)",
    )
    p.add_argument(
        "--retry-budget-percent",
        type=int,
        default=base.retry_budget_percent,
        metavar="N",
        help="retries within ten seconds as a share of the requests, beyond 64 (default %(default)s)",
    )
    p.add_argument(
        "--max-failures",
        type=int,
        default=base.max_failures,
        metavar="N",
        help="failures after which one more isolates an instance (default %(default)s)",
    )
    p.add_argument(
        "--cumulative-failures",
        action="store_true",
        help="a success does not reset the count of failures (the literal seed rule)",
    )
    p.add_argument(
        "--probe-interval",
        type=float,
        default=base.probe_interval_seconds,
        metavar="SECONDS",
        dest="probe_interval_seconds",
        help="time between GET /health of an instance (default %(default)s)",
    )
    p.add_argument(
        "--probe-timeout",
        type=float,
        default=base.probe_timeout_seconds,
        metavar="SECONDS",
        dest="probe_timeout_seconds",
        help="time that a probe waits (default %(default)s)",
    )
    p.add_argument(
        "--slow-start",
        type=float,
        default=0.0,
        metavar="SECONDS",
        dest="slow_start_seconds",
        help="an instance that comes back reaches its full share after this time (default off)",
    )
    p.add_argument(
        "--max-backoff",
        type=float,
        default=0.0,
        metavar="SECONDS",
        dest="max_backoff_seconds",
        help="an instance that keeps failing waits longer each time, up to this (default off)",
    )
    p.add_argument(
        "--max-isolated-percent",
        type=int,
        default=100,
        metavar="N",
        help="never isolate more than this share of a role (default %(default)s)",
    )
    p.add_argument("--panic", action="store_true", help="when all instances are faulty, try them anyway, not 503")
    p.add_argument(
        "--connect-timeout",
        type=float,
        default=base.connect_timeout_seconds,
        metavar="SECONDS",
        dest="connect_timeout_seconds",
        help="time to open a connection (default %(default)s)",
    )
    p.add_argument(
        "--response-timeout",
        type=float,
        default=0.0,
        metavar="SECONDS",
        dest="response_timeout_seconds",
        help="time until an instance sends its status; queues may be long (default off)",
    )
    p.add_argument(
        "--stream-idle-timeout",
        type=float,
        default=0.0,
        metavar="SECONDS",
        dest="stream_idle_timeout_seconds",
        help="time between two reads of a body (default off)",
    )
    p.add_argument(
        "--prefix-weight",
        type=float,
        default=base.prefix_weight,
        metavar="N",
        help="how much a prompt's own work at a prefill instance, its cached prefix left out, counts beside the load "
        "there; 0 chooses by load alone (default %(default)s)",
    )
    p.add_argument(
        "--prefix-keys",
        type=int,
        default=base.prefix_keys,
        metavar="N",
        help="prefixes of prompts that are remembered, one for 2 KiB (default %(default)s)",
    )
    p.add_argument(
        "--max-recomputes",
        type=int,
        default=base.max_recomputes,
        metavar="N",
        help="times that a decode instance may give an answer up for recomputation (default %(default)s)",
    )
    p.add_argument(
        "--chat-resume",
        choices=RESUMES,
        default=base.chat_resume,
        help="where a recomputed chat answer goes on: in an assistant message of its own, or, as in "
        "the reference, in the first message (default %(default)s)",
    )
    p.add_argument(
        "--metaserver-ack",
        choices=("early", "late"),
        default="early",
        help="answer /v1/metaserver at once, or as the reference after the prefill (default %(default)s)",
    )
    p.add_argument(
        "--max-body-bytes",
        type=int,
        default=base.max_body_bytes,
        metavar="N",
        help="larger requests get 413 (default %(default)s)",
    )
    p.add_argument(
        "--max-requests",
        type=int,
        default=base.max_requests,
        metavar="N",
        help="more requests at a time get 429; 0 is no limit (default %(default)s)",
    )
    p.add_argument(
        "--drain-seconds",
        type=float,
        default=base.drain_seconds,
        metavar="SECONDS",
        help="time for running requests after SIGTERM (default %(default)s)",
    )
    p.add_argument("--workers", type=int, default=1, metavar="N", help="processes that share the port (default 1)")
    p.add_argument("--no-access-log", action="store_false", dest="access_log", help="no log line per request")
    p.add_argument(
        "--max-waiting-retries",
        type=int,
        default=base.max_waiting_retries,
        metavar="N",
        help="probes that an instance of /instances/add may miss after the first (default %(default)s)",
    )
    p.add_argument(
        "--waiting-retry-interval",
        type=float,
        default=base.waiting_retry_interval,
        metavar="SECONDS",
        help="time between these probes (default %(default)s)",
    )
    p.add_argument(
        "--log-level", default="INFO", metavar="LEVEL", help="accepted for compatibility; see --no-access-log"
    )
    return p


def from_arguments(arguments: Sequence[str] | None = None) -> tuple[Settings, Path | None]:
    """The settings of a command line with its config file applied, and that file's path.

    Raises SettingsError for values that cannot work, SystemExit for --help and unknown flags.
    """
    options = vars(parser().parse_args(arguments))
    prefill = _zip(options, "prefiller")
    decode = _zip(options, "decoder")
    named = {f.name for f in fields(Settings)}
    settings = Settings(
        **{k: v for k, v in options.items() if k in named and k not in ROLES},
        prefill=prefill,
        decode=decode,
        api_key=os.environ.get("OPENAI_API_KEY", ""),
        admin_token=os.environ.get("PROXY_ADMIN_TOKEN", ""),
    )
    path = Path(options["config"]) if options["config"] else None
    return (checked(settings) if path is None else from_file(path, settings)), path


def from_file(path: Path, base: Settings) -> Settings:
    """The flags of `base` with what the config file says. Raises SettingsError when it cannot be read or used.

    What an earlier state of the file said is forgotten: a setting that is gone from it has its flag's value again.
    """
    base = base.flags or base
    try:
        document = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise SettingsError(f"{path}: {error}") from error
    if not isinstance(document, dict):
        raise SettingsError(f"{path}: not a JSON object")
    changes: dict[str, Any] = {}
    for key, value in document.items():
        if key in ROLES:
            changes[key] = tuple(_address(path, key, entry) for entry in _list(path, key, value))
        elif key in _CONFIG_KEYS:
            name = _CONFIG_KEYS[key]
            changes[name] = _typed(path, key, value, getattr(base, name))
        else:
            raise SettingsError(f"{path}: unknown setting {key!r}")
    return checked(replace(base, **changes, flags=base))


def checked(settings: Settings) -> Settings:
    """The same settings, or SettingsError for what would only fail later."""
    if settings.mode not in MODES:
        raise SettingsError(f"mode {settings.mode!r} is neither layerwise nor standard")
    for role in ROLES:
        addresses = settings.addresses(role)
        if len(set(addresses)) != len(addresses):
            raise SettingsError(f"a {role} instance is listed twice: {_first_twice(addresses)}")
        for address in addresses:
            _check_host(address.host)
            _check_port(address.port)
    _check_port(settings.port)
    if settings.mode == "layerwise":
        host = settings.advertise_host or settings.host
        if host in _WILDCARDS:
            raise SettingsError(f"decode instances cannot call back {host}; name this pod's address: --advertise-host")
        _check_host(host)
    if settings.probe_interval_seconds <= 0 or settings.probe_timeout_seconds <= 0:
        raise SettingsError("probe interval and timeout must be above 0")
    if settings.metaserver_ack not in ("early", "late"):
        raise SettingsError(f"metaserverAck {settings.metaserver_ack!r} is neither early nor late")
    if settings.chat_resume not in RESUMES:
        raise SettingsError(f"chatResume {settings.chat_resume!r} is neither continue nor first-message")
    if settings.prefix_weight < 0 or settings.prefix_keys < 1:
        raise SettingsError("prefixWeight must not be negative, prefixKeys at least 1")
    if settings.workers < 1:
        raise SettingsError(f"{settings.workers} workers serve nothing")
    return settings


def address_of(text: str) -> Address:
    """`host:port`, `[v6]:port` as an address; raises SettingsError for anything else."""
    host, colon, port = text.rpartition(":")
    if not colon or not port.isdigit():
        raise SettingsError(f"{text!r} is not host:port")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    _check_host(host)
    _check_port(int(port))
    return Address(host, int(port))


def _zip(options: Mapping[str, Any], flag: str) -> tuple[Address, ...]:
    hosts, ports = options[f"{flag}_hosts"], options[f"{flag}_ports"]
    if len(hosts) != len(ports):
        raise SettingsError(f"{len(hosts)} --{flag}-hosts but {len(ports)} --{flag}-ports; each host needs its port")
    return tuple(Address(host.strip("[]"), port) for host, port in zip(hosts, ports, strict=True))


def _check_host(host: str) -> None:
    """An IP literal, or a name with a label that is not all digits (vllm-ascend#12829: 192.0.0.3192.0.0.3)."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        labels = host.rstrip(".").split(".")
        sound = all(0 < len(label) < 64 and label.isascii() for label in labels)  # as the resolver's encoding has it
        sound = sound and all(c.isalnum() or c in "-_" for label in labels for c in label)
        if not sound or all(label.isdigit() for label in labels):
            raise SettingsError(f"{host!r} is neither an IP address nor a host name; a blank missing?") from None


def _check_port(port: int) -> None:
    if not 0 <= port <= 65535:
        raise SettingsError(f"{port} is not a port")


def _first_twice(addresses: Sequence[Address]) -> Address:
    return next(a for i, a in enumerate(addresses) if a in addresses[:i])


def _list(path: Path, key: str, value: object) -> list[Any]:
    if not isinstance(value, list):
        raise SettingsError(f"{path}: {key} is not a list")
    return value


def _address(path: Path, role: str, entry: object) -> Address:
    if not isinstance(entry, dict) or set(entry) != {"host", "port"}:
        raise SettingsError(f"{path}: a {role} instance is an object of host and port, not {json.dumps(entry)}")
    if not isinstance(entry["host"], str) or type(entry["port"]) is not int:
        raise SettingsError(f"{path}: a {role} instance has a text as host and a number as port")
    return Address(entry["host"], entry["port"])


def _typed(path: Path, key: str, value: object, like: object) -> object:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if isinstance(like, bool | str):
        good = type(value) is type(like)
    elif isinstance(like, int):
        good = type(value) is int and value >= 0
    else:
        good = number and value >= 0  # type: ignore[operator]
    if not good:
        raise SettingsError(f"{path}: {key} {json.dumps(value)} is no usable value")
    return value
