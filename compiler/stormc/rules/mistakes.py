"""Takes reported mistakes out of an app, so that its finished manifests can be judged in the same run.

Two writers of one key would stop the passes, and an override that renames the StormService would leave none. What
follows from a finding is not reported again; what is independent of it still is.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, TypeVar

from stormc import rules
from stormc.facts.known_keys import OWNED
from stormc.model.app import App, Pods, Role
from stormc.record import replace
from stormc.rules.storm_service import MAPS
from stormc.rules.vocabulary import known_as

SomePods = TypeVar("SomePods", bound=Pods)


def without_mistakes(app: App, broken: Collection[str]) -> App:
    """The app without the keys, sizes, overrides and directories that violate the rules of these ids."""
    if not broken:
        return app
    if rules.load("keys.owned").id in broken:
        app = replace(
            app,
            prefill=_without_owned_keys(app.prefill),
            decode=_without_owned_keys(app.decode),
            routing=_without_owned_keys(app.routing),
        )
    if rules.load("workload.size").id in broken:
        app = replace(app, prefill=_with_smallest_size(app.prefill), decode=_with_smallest_size(app.decode))
    if rules.load("overrides.target").id in broken or rules.load("overrides.identity").id in broken:
        app = replace(app, overrides=())
    if rules.load("engine.directories").id in broken:
        model = replace(app.model, path="/mnt/models/model")
        app = replace(app, model=model, engine=app.engine._replace(script=None))
        bare = (replace(role, volumes=()) for role in (app.prefill, app.decode, app.routing))
        app = replace(app, **dict(zip(("prefill", "decode", "routing"), bare, strict=True)))
    return app


def _with_smallest_size(role: Role) -> Role:
    return replace(role, replicas=1, pod_group_size=1, data_parallel=1)


def _without_owned_keys(role: SomePods) -> SomePods:
    changed: dict[str, Any] = {}
    for table, attribute in MAPS.items():
        values: Mapping[str, str] = getattr(role, attribute)
        owned = known_as(*OWNED)[table]
        changed[attribute] = {key: value for key, value in values.items() if key not in owned}
    return replace(role, **changed)
