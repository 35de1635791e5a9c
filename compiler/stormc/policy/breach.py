"""What an app does that a policy forbids, or that a reviewer should see where there is no policy."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from stormc.finding import Path
from stormc.model.app import App
from stormc.phrase import Phrase, phrase
from stormc.policy.concerns import Concern
from stormc.policy.policy import Policy
from stormc.record import NamedTuple
from stormc.rules.storm_service import patched_at
from stormc.targets.storm_service import Step

Manifest = Mapping[str, Any]


class Breach(NamedTuple):
    """One breach at a path of the spec; `layer` is the number of the layer that forbids it, if there is one."""

    rule: str
    path: Path
    message: Phrase
    hint: Phrase
    layer: int | None = None


class Case(NamedTuple):
    """An app with its finished manifests, and the policy that they are held against; it may have no layers."""

    app: App
    policy: Policy
    manifests: Sequence[Manifest]
    written: Mapping[str, Any] = {}
    """The fields of the spec over those of the platform files above it, as people wrote them."""

    def env_path(self, role: str, name: str) -> Path:
        """The field of the spec that gives a role's variable its value."""
        roles = (*self.app.serving_roles, self.app.routing)
        return next((one.env_path(name) for one in roles if one.name == role), (role, "env", name))

    def flag_path(self, role: str, flag: str) -> Path:
        """The field of the spec that gives a role's flag its value."""
        roles = self.app.serving_roles
        return next((one.flag_path(flag) for one in roles if one.name == role), (role, "engineArgs", flag))

    def breach(
        self, concern: Concern, path: Path, message: Phrase, hint: Phrase, *, key: str = "", value: str = "",
        unusual: bool = True,
    ) -> Iterator[Breach]:  # fmt: skip
        """The breach that a fact about the app is, if any.

        A policy with a list at `key` decides by `value`. Without that list what is `unusual` is forbidden by every
        policy whose concern needs no key, and else a warning. What only a platform file below the topmost one allows
        is a warning, too.
        """
        policy = self.policy
        if key and policy.covers(key):
            layer = policy.refusing(value, key)
            if layer is not None:
                allowed = phrase(
                    "{file} lists {key}: {fields}",
                    file=policy.layers[layer].file,
                    key=key,
                    fields=", ".join(policy.layers[layer].fields[key]),
                )
                yield Breach(concern.forbidden.id, path, message, allowed if len(allowed) < 200 else hint, layer)
            elif unusual and not policy.settles(key) and concern.warned:
                yield Breach(concern.warned.id, path, message, hint)
        elif unusual and policy and not concern.key:
            yield Breach(concern.forbidden.id, path, message, hint)
        elif unusual and concern.warned:
            yield Breach(concern.warned.id, path, message, hint)

    def is_own(self, name: str) -> bool:
        """Whether a name says that something is the app's or its team's: it begins as the namespace or app does."""
        owners = (self.app.namespace, self.app.name)
        return any(name == owner or name.startswith(f"{owner}-") for owner in owners) or (
            self.app.namespace.startswith(f"{name}-")
        )

    def wrote(self, manifest: Manifest, path: Path, otherwise: Path, least: int = 1) -> Path:
        """Where an override writes the field of a manifest, or something around it that is `least` steps deep."""
        if not self.app.overrides:
            return otherwise
        steps = named_steps(manifest, path)
        for length in range(len(steps), least - 1, -1):
            if at := patched_at(self.app.overrides, manifest, steps[:length]):
                return at
        return otherwise


def named_steps(manifest: Manifest, path: Path) -> tuple[Step, ...]:
    """A path of a manifest with the names of list items in place of their numbers."""
    steps: list[Step] = []
    node: Any = manifest
    for step in path:
        node = node[step] if isinstance(step, int) else (node or {}).get(step)
        name = (node.get("name") or node.get("mountPath")) if isinstance(node, dict) else None
        steps.append(step if isinstance(step, str) else (str(name),))
    return tuple(steps)
