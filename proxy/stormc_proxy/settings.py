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

from stormc_proxy.options import CONFIG_KEYS, TABLE, Option

ROLES = ("prefill", "decode")
_WILDCARDS = ("", "0.0.0.0", "::", "0:0:0:0:0:0:0:0")


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
    """Everything that can be set, as options.py describes it. Seconds are seconds, bytes are bytes."""

    mode: str = "layerwise"
    host: str = "localhost"
    port: int = 8000
    advertise_host: str = ""
    metaserver_port: int = 0
    check_remote_host: bool = True
    max_failures: int = 3
    cumulative_failures: bool = False
    probe_interval_seconds: float = 5.0
    probe_timeout_seconds: float = 2.0
    slow_start_seconds: float = 0.0
    max_backoff_seconds: float = 0.0
    max_isolated_percent: int = 100
    panic: bool = False
    fallback: bool = True
    max_retries: int = 3
    retry_delay: float = 0.001
    retry_budget_percent: int = 100
    connect_timeout_seconds: float = 3.0
    response_timeout_seconds: float = 1800.0
    first_event_timeout_seconds: float = 60.0
    stream_idle_timeout_seconds: float = 600.0
    prefix_weight: float = 5.0
    prefix_keys: int = 100_000
    peers: str = ""
    app: str = ""
    namespace: str = ""
    model: str = ""
    max_recomputes: int = 8
    chat_resume: str = "continue"
    resume_streams: bool = True
    metaserver_ack: str = "early"
    max_body_bytes: int = 67108864
    max_inflight_bytes: int = 134217728
    max_requests: int = 4096
    body_timeout_seconds: float = 60.0
    keep_alive_seconds: float = 75.0
    heartbeat_seconds: float = 0.0
    cors_origin: str = "*"
    inbound_keys_file: str = ""
    tls_cert_file: str = ""
    tls_key_file: str = ""
    tls_client_ca_file: str = ""
    metaserver_tls: bool = False
    engine_tls: bool = False
    engine_ca_file: str = ""
    engine_cert_file: str = ""
    engine_key_file: str = ""
    drain_seconds: float = 30.0
    otlp_endpoint: str = ""
    trace_percent: float = 100.0
    access_log: bool = True
    workers: int = 1
    max_waiting_retries: int = 3
    waiting_retry_interval: float = 10.0
    prefill: tuple[Address, ...] = (Address("localhost", 8001),)
    decode: tuple[Address, ...] = (Address("localhost", 8002),)
    api_key: str = field(default="", repr=False)
    admin_token: str = field(default="", repr=False)
    inbound_keys: str = field(default="", repr=False)
    flags: Settings | None = field(default=None, repr=False, compare=False)
    """The settings without the config file's; None where there is none."""

    @property
    def advertised(self) -> str:
        """The address that decode instances call back."""
        return (self.advertise_host or self.host).strip("[]")

    def addresses(self, role: str) -> tuple[Address, ...]:
        """The instances of `prefill` or `decode`."""
        return self.prefill if role == "prefill" else self.decode


def parser() -> argparse.ArgumentParser:
    """The command line; prefixes of flags are accepted."""
    p = argparse.ArgumentParser(
        prog="python -m stormc_proxy",
        description="Routes OpenAI requests to vLLM prefill and decode instances, isolates the faulty, lets them back.",
        epilog="OPENAI_API_KEY: bearer token for the instances. PROXY_ADMIN_TOKEN: the one that opens /instances/* and "
        "/reset_prefix_cache. PROXY_INBOUND_KEYS: API keys of clients, with commas between them.",
    )
    p.add_argument("--config", metavar="FILE", help="JSON config file; wins over flags; reloaded when it changes")
    for option in TABLE:
        if option.flag:
            _add(p, option)
    for role, flag, port in (("prefill", "prefiller", 8001), ("decode", "decoder", 8002)):
        p.add_argument(f"--{flag}-hosts", nargs="+", default=["localhost"], metavar="HOST",
                       help=f"hosts of the {role} instances, one per port (localhost)")  # fmt: skip
        p.add_argument(f"--{flag}-ports", nargs="+", type=int, default=[port], metavar="PORT",
                       help=f"ports of the {role} instances ({port})")  # fmt: skip
    p.add_argument("--log-level", default="INFO", metavar="LEVEL",
                   help="accepted for compatibility; see --no-access-log")  # fmt: skip
    return p


def _add(p: argparse.ArgumentParser, option: Option) -> None:
    about = option.help.replace("%", "%%")
    if isinstance(option.default, bool):
        action = "store_false" if option.off else "store_true"
        p.add_argument(option.flag, dest=option.name, action=action, help=f"{'not: ' if option.off else ''}{about}")
    elif option.choices:
        p.add_argument(option.flag, dest=option.name, default=option.default, choices=option.choices,
                       help=f"{about} (%(default)s)")  # fmt: skip
    else:
        p.add_argument(option.flag, dest=option.name, default=option.default, type=type(option.default),
                       metavar=option.unit, help=f"{about} (%(default)s)")  # fmt: skip


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
        inbound_keys=os.environ.get("PROXY_INBOUND_KEYS", ""),
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
        elif key in CONFIG_KEYS:
            name = CONFIG_KEYS[key]
            changes[name] = _typed(path, key, value, getattr(base, name))
        else:
            raise SettingsError(f"{path}: unknown setting {key!r}")
    return checked(replace(base, **changes, flags=base))


def checked(settings: Settings) -> Settings:
    """The same settings, or SettingsError for what would only fail later."""
    for option in TABLE:
        value = getattr(settings, option.name)
        if option.choices and value not in option.choices:
            raise SettingsError(f"{option.key} {value!r} is neither {' nor '.join(option.choices)}")
        if option.unit == "PORT":
            _check_port(value)
    for role in ROLES:
        addresses = settings.addresses(role)
        if len(set(addresses)) != len(addresses):
            raise SettingsError(f"a {role} instance is listed twice: {_first_twice(addresses)}")
        for address in addresses:
            _check_host(address.host)
            _check_port(address.port)
    if settings.mode == "layerwise":
        host = settings.advertised
        if host in _WILDCARDS:
            named = host or "an empty host"
            raise SettingsError(f"decode instances cannot call back {named}; name this pod's address: --advertise-host")
        _check_host(host)
    if settings.probe_interval_seconds <= 0 or settings.probe_timeout_seconds <= 0:
        raise SettingsError("probe interval and timeout must be above 0")
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
