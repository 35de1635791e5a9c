"""TLS from files that change while the proxy runs: certificates are renewed without a restart.

One context serves all connections of a side; what is loaded into it holds for every handshake from then on. A file that
cannot be used changes nothing.
"""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import NamedTuple


class Files(NamedTuple):
    """Paths; empty where there is none."""

    certificate: str = ""
    key: str = ""
    authorities: str = ""
    """Who may sign the other side's certificate."""


class Tls:
    """One side's context and the files that it comes from."""

    def __init__(self, files: Files, purpose: ssl.Purpose) -> None:
        """`purpose` is that of the other side, as ssl.create_default_context has it. Raises OSError, ssl.SSLError."""
        self._files, self._purpose = files, purpose
        self.context = self._new_context()
        self._versions = self._file_versions()

    @property
    def for_engines(self) -> bool:
        """Whether the other side is an engine, whose certificate has to be right."""
        return self._purpose is ssl.Purpose.SERVER_AUTH

    def refresh(self) -> bool:
        """Load the files anew if one has changed; whether one had. Raises OSError, ssl.SSLError."""
        versions = self._file_versions()
        if versions == self._versions:
            return False
        self._versions = versions
        fresh = self._new_context()  # first into another one: a certificate without its key would spoil this one
        if self.for_engines:
            self.context = fresh
        else:
            self._load(self.context)
        return True

    def _new_context(self) -> ssl.SSLContext:
        context = ssl.create_default_context(self._purpose)
        self._load(context)
        if self._files.authorities and not self.for_engines:
            context.verify_mode = ssl.CERT_REQUIRED
        return context

    def _load(self, context: ssl.SSLContext) -> None:
        files = self._files
        if files.certificate:
            context.load_cert_chain(files.certificate, files.key or None)
        if files.authorities:
            context.load_verify_locations(files.authorities)

    def _file_versions(self) -> tuple[tuple[int, int, int], ...]:
        stats = (Path(name).stat() for name in self._files if name)
        return tuple((stat.st_ino, stat.st_mtime_ns, stat.st_size) for stat in stats)


def of_clients(certificate: str, key: str, authorities: str) -> Tls | None:
    """That towards clients; None without a certificate. With authorities, a client needs a certificate as well."""
    files = Files(certificate, key, authorities)
    return Tls(files, ssl.Purpose.CLIENT_AUTH) if certificate else None


def of_engines(enabled: bool, certificate: str, key: str, authorities: str) -> Tls | None:
    """That towards engines; None unless it is wanted. Without authorities, those of the system are believed."""
    return Tls(Files(certificate, key, authorities), ssl.Purpose.SERVER_AUTH) if enabled else None
