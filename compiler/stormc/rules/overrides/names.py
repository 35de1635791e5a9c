"""An override of the StormService names roles of the app, and their containers.

A strategic merge patch finds list entries by name. An entry with another name changes nothing: it is a new entry, here
a role without pods, or a container without an image.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from stormc.facts.limits import ROUTING, SERVING_ROLES
from stormc.finding import Path, did_you_mean
from stormc.model.app import ROUTER, App
from stormc.model.profile import Platform
from stormc.phrase import Phrase, phrase
from stormc.rules.rule import Example, Rule, Violation
from stormc.targets.storm_service import ROLES

ROLE_NAMES = (*SERVING_ROLES, ROUTING)


CONTAINERS = ("template", "spec", "containers")


def check(app: App, platform: Platform) -> Iterator[Violation]:
    for index, override in enumerate(app.overrides):
        if override.kind != "StormService":
            continue
        inside: Path = ("overrides", index, "patch", *ROLES)
        for place, role in _entries(override.patch, ROLES):
            name = str(role.get("name"))
            if name in ROLE_NAMES:
                own = ROUTER if name == ROUTING else name
                yield from _containers(role, own, (*inside, place, *CONTAINERS))
            elif "replicas" not in role or "template" not in role:
                yield _unknown((*inside, place), phrase("the app has no role {name}", name=name), name, ROLE_NAMES)


def _containers(role: Mapping[str, Any], own: str, path: Path) -> Iterator[Violation]:
    for place, container in _entries(role, CONTAINERS):
        name = str(container.get("name"))
        if name != own and "image" not in container:
            message = phrase("role {role} has no container {name}", role=role["name"], name=name)
            yield _unknown((*path, place), message, name, (own,))


def _entries(value: Any, path: tuple[str, ...]) -> Iterator[tuple[int, Mapping[str, Any]]]:
    for step in path:
        value = value.get(step) if isinstance(value, Mapping) else None
    for place, entry in enumerate(value if isinstance(value, list) else ()):
        if isinstance(entry, Mapping) and "$patch" not in entry:
            yield place, entry


def _unknown(path: Path, message: Phrase, name: str, known: tuple[str, ...]) -> Violation:
    return Violation((*path, "name"), message, did_you_mean(name, known))


RULE = Rule(
    "E082", __doc__, check,
    source="docs/spec.md, overrides; AIBrix v0.5.0 config/crd/orchestration stormservices, required fields",
    bad=(
        Example("""
            overrides:
            - target: StormService
              reason: a trial
              owner: team-a
              patch:
                spec:
                  template:
                    spec:
                      roles:
                      - name: decod
                        template:
                          spec:
                            priority: 1
            """, at="overrides[0].patch.spec.template.spec.roles[0].name"),
        Example("""
            overrides:
            - target: StormService
              reason: a trial
              owner: team-a
              patch:
                spec:
                  template:
                    spec:
                      roles:
                      - name: prefil
                        replicas: 2
            """, at="overrides[0].patch.spec.template.spec.roles[0].name"),
        Example("""
            overrides:
            - target: StormService
              reason: a trial
              owner: team-a
              patch:
                spec:
                  template:
                    spec:
                      roles:
                      - name: prefill
                        template:
                          spec:
                            containers:
                            - name: engine
                              tty: true
            """, at="overrides[0].patch.spec.template.spec.roles[0].template.spec.containers[0].name"),
    ),
    instead=(
        Example("""
            overrides:
            - target: StormService
              reason: a trial
              owner: team-a
              patch:
                spec:
                  template:
                    spec:
                      roles:
                      - name: prefill
                        template:
                          spec:
                            containers:
                            - name: prefill
                              tty: true
            """),
    ),
    only_when_overridden=True,
)  # fmt: skip
