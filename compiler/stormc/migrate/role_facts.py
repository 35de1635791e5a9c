"""One role of a StormService as it is, with what its pods run: fields, environment, command line."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from stormc.finding import Path
from stormc.migrate.command_line import flags_of, words_of
from stormc.migrate.serve import engine_args, facts_of, served, texts
from stormc.model.quantity import whole_number
from stormc.targets.storm_service import ROLES

ACCELERATOR = re.compile(r".*/(gpu|npu|neuron|tpu)[a-z]*|huawei\.com/.*")
_VARIABLE = re.compile(r"\$\{?([A-Za-z_][A-Za-z0-9_]*)\}?")


class RoleFacts:
    """One role of the original, with what its pods run."""

    def __init__(self, index: int, role: Mapping[str, Any], name: str) -> None:
        self.path: Path = (*ROLES, index)
        self.role, self.name = role, name
        template = role.get("template") or {}
        metadata = template.get("metadata") or {}
        self.labels: Mapping[str, str] = metadata.get("labels") or {}
        self.annotations: Mapping[str, str] = metadata.get("annotations") or {}
        self.pod: Mapping[str, Any] = template.get("spec") or {}
        containers = self.pod.get("containers") or [{}]
        self.engine: Mapping[str, Any] = next(
            (c for c in containers if accelerators_of(c)),
            next((c for c in containers if c.get("name") == name), containers[0]),
        )
        self.env: dict[Any, Any] = {e.get("name"): e.get("value") for e in self.engine.get("env") or () if "value" in e}
        self.command: list[str] = list(self.engine.get("command") or ())
        self.arguments: list[str] = list(self.engine.get("args") or ())
        self.facts = facts_of(str(self.engine.get("image", "")))
        literals = {str(name): str(value) for name, value in self.env.items()}
        self.served = served(self.command + self.arguments, self.facts, literals)
        self.words = words_of(self.command + self.arguments)
        self.flags = flags_of(self.words)
        if self.served is not None:
            self.env |= {name: value for name, value in self.served.env.items() if isinstance(value, str)}
            self.flags |= texts(self.served.command.flags)
        self.size: int = role.get("podGroupSize") or 1

    def flag(self, *names: str) -> str | None:
        """A flag's value, its variable filled in from the literal environment; None where that is not known."""
        value = next((self.flags[name] for name in names if name in self.flags), None)
        match = _VARIABLE.fullmatch(value) if value else None
        return self.env.get(match[1]) if match else value

    def number(self, *names: str) -> int | None:
        """A flag that is a number."""
        return whole_number(self.flag(*names))

    def as_fields(self) -> dict[str, Any]:
        """The spec's engineArgs and env for its command line; sizes and ports are fields of their own."""
        assert self.served is not None
        return {"engineArgs": engine_args(self.served.command), "env": dict(self.served.env)}

    @property
    def accelerators(self) -> dict[str, int]:
        """The devices that the engine asks for."""
        return accelerators_of(self.engine)


def accelerators_of(container: Mapping[str, Any]) -> dict[str, int]:
    """The devices that a container asks for, by resource."""
    resources = container.get("resources") or {}
    amounts = {**(resources.get("requests") or {}), **(resources.get("limits") or {})}
    counts = {name: str(amount) for name, amount in amounts.items() if ACCELERATOR.fullmatch(name)}
    return {name: number for name, amount in counts.items() if (number := whole_number(amount)) is not None}
