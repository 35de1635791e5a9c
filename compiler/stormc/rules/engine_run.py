"""The engine as the container of a serving role starts it: flags, environment, mounts, whoever wrote them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from stormc.facts.keys import Directory
from stormc.facts.pods import SHELLS
from stormc.finding import Path
from stormc.model.flags import FIELDS_OF_FLAGS, read_command
from stormc.model.role import Role
from stormc.record import NamedTuple
from stormc.rules.storm_service import StormService, Template


class Run(NamedTuple):
    """What a role's container starts: `vllm serve` with its flags."""

    role: Role
    template: Template
    container: Mapping[str, Any]
    model: str
    flags: Mapping[str, Any]
    own_command: bool
    """Whether the command line comes from an override or engine.command, and not from the fields of the spec."""
    command_path: Path
    env: Mapping[str, str]
    """The variables of the container that are literal texts."""

    @property
    def launched(self) -> bool:
        """Whether stormc's launcher starts it."""
        return any(Directory.LAUNCHER in word for word in _words(self.container))

    @property
    def mounts(self) -> list[str]:
        """The directories on which something is mounted."""
        return [str(mount["mountPath"]) for mount in self.container.get("volumeMounts") or ()]

    def at(self, flag: str) -> Path:
        """The place in the spec that gives a flag its value."""
        if self.own_command:
            return self.command_path
        if flag in self.role.flags:
            return self.role.flags[flag].path
        field = FIELDS_OF_FLAGS.get(flag)
        return (self.role.name, field) if field else (self.role.name,)

    def number(self, flag: str, default: int = 1) -> int:
        """A flag as a whole number."""
        text = str(self.flags.get(flag, default))
        return int(text) if text.lstrip("-").isdigit() else default

    def mapping(self, flag: str) -> Mapping[str, Any]:
        """A flag whose value is a mapping; empty where it has none."""
        value = self.flags.get(flag)
        return value if isinstance(value, Mapping) else {}


def runs(service: StormService) -> tuple[Run, ...]:
    """The engines of prefill and decode, as far as their command line can be read; read once for an app."""
    engines: tuple[Run, ...] | None = service.__dict__.get("engine_runs")
    if engines is None:
        engines = service.__dict__["engine_runs"] = tuple(_runs(service))
    return engines


def _runs(service: StormService) -> Iterator[Run]:
    for role, template in service.serving:
        container = next((c for c in template.containers if c.get("name") == role.name), None)
        served = _served(_words(container)) if container else None
        if container is None or served is None:
            continue
        command = read_command(served, role.facts)
        path: Path = ()
        for field in ("args", "command"):
            path = path or service.wrote_pod(role.name, ("containers", (role.name,), field), ())
        if not path and service.app.engine.command is not None:
            path = ("engine", "command")
        entries = container.get("env") or ()
        env = {entry["name"]: str(entry.get("value", "")) for entry in entries if "valueFrom" not in entry}
        yield Run(role, template, container, command.model, command.flags, bool(path), path, env)


def _words(container: Mapping[str, Any]) -> list[str]:
    return [str(word) for word in (*(container.get("command") or ()), *(container.get("args") or ()))]


def _script(text: str) -> list[str]:
    try:
        import shlex  # rarely needed, and every app loads this module

        return shlex.split(text.replace("\\\n", " "), comments=True)
    except ValueError:
        return text.split()


def _served(words: Sequence[str]) -> list[str] | None:
    """The words after `vllm serve`, in a shell's script too; None where there is no such command."""
    flat = list(words)
    if words and words[0].rpartition("/")[2] in SHELLS and "-c" in words[:-1]:
        at = words.index("-c") + 1
        flat = _script(words[at])
        if '"$@"' in words[at] or "$*" in words[at]:
            flat = [*flat, *words[at + 2 :]]  # the word after the script is the script's own name
    for index in range(len(flat) - 1):
        if flat[index].rpartition("/")[2] == "vllm" and flat[index + 1] == "serve":
            return flat[index + 2 :]
    return None
