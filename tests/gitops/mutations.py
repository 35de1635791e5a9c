"""The compiler with one canonicalisation taken out, for tests that must notice."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

import stormc.compile.stages
import stormc.emit.canonical
import stormc.model.build_role
import stormc.passes.engine.environment
import stormc.passes.overrides
import stormc.passes.proxy.pods
import stormc.passes.workload
from stormc.model.app import App
from stormc.model.profile import Platform
from stormc.passes import PIPELINE
from stormc.passes.because import Because
from stormc.passes.edit import Edit, env_entry
from stormc.passes.runner import Pass

Break = Callable[[pytest.MonkeyPatch], None]


@dataclass(frozen=True)
class Mutation:
    """One canonicalisation taken out of the compiler, and the difference that must then show."""

    name: str
    take_out: Break
    shows: str


def _set(module: Any, name: str, value: Any) -> Break:
    return lambda patch: patch.setattr(module, name, value)


def _edits(change: Callable[[Edit], Edit | None]) -> Break:
    """The pipeline with each edit changed, or left out."""

    def changed(step: Pass) -> Pass:
        def apply(app: App, platform: Platform) -> Iterator[Edit]:
            return (made for edit in step.apply(app, platform) if (made := change(edit)) is not None)

        return step._replace(apply=apply)

    return _set(stormc.compile.stages, "PIPELINE", tuple(changed(step) for step in PIPELINE))


def _env_with_empty_values(patch: pytest.MonkeyPatch) -> None:
    def literal(name: str, value: Any) -> dict[str, Any]:
        return {"name": name, "value": value} if isinstance(value, str) else env_entry(name, value)

    for module in (stormc.passes.engine.environment, stormc.passes.proxy.pods):
        patch.setattr(module, "env_entry", literal)


def _no_update_type(patch: pytest.MonkeyPatch) -> None:
    patch.setitem(stormc.passes.workload.SPEC, "updateStrategy", ({}, Because()))


def _plain_words(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(stormc.emit.canonical, "_scalars", {})
    patch.setattr(stormc.emit.canonical, "_WORDS", frozenset())


def _plain_numbers(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(stormc.emit.canonical, "_scalars", {})
    patch.setattr(stormc.emit.canonical, "_PLAIN", re.compile(r"[A-Za-z0-9_.:/-]+\Z"))


def _tolerations_as_written(patch: pytest.MonkeyPatch) -> None:
    pods = stormc.model.build_role.build_pods

    def as_written(name: str, data: Any) -> dict[str, Any]:
        return {**pods(name, data), "tolerations": tuple(data[name].get("tolerations", ()))}

    patch.setattr(stormc.model.build_role, "build_pods", as_written)


def _without_protocol(edit: Edit) -> Edit:
    if "ports" in edit.path and isinstance(edit.value, dict):
        return edit._replace(value={key: value for key, value in edit.value.items() if key != "protocol"})
    return edit


def _read_only_false(edit: Edit) -> Edit:
    if "volumeMounts" in edit.path and isinstance(edit.value, dict):
        return edit._replace(value={"readOnly": False, **edit.value})
    return edit


def _one_per_role_only(edit: Edit) -> Edit | None:
    return None if edit.path == ("spec", "template", "spec", "updateStrategy") else edit


def _amounts_as_numbers(edit: Edit) -> Edit:
    if edit.path[-2:-1] == ("limits",) and str(edit.path[-1]).startswith("huawei.com/"):
        return edit._replace(value=int(edit.value))
    return edit


MUTATIONS = [
    Mutation("quantities as typed", _set(stormc.model.build_role, "canonical", str), "'819200Mi' becomes '800Gi'"),
    Mutation("quantities of overrides as typed", _set(stormc.passes.overrides, "_quantity", lambda _, value: value),
             "'2048Mi' becomes '2Gi'"),
    Mutation("NPUs as numbers", _edits(_amounts_as_numbers), "16 becomes '16'"),
    Mutation("empty values of env", _env_with_empty_values, ".value"),
    Mutation("empty values of tolerations", _tolerations_as_written, "tolerations[0].value"),
    Mutation("false where Go says nothing", _edits(_read_only_false), ".readOnly"),
    Mutation("no protocol", _edits(_without_protocol), ".protocol is filled in"),
    Mutation("no rollout order", _edits(_one_per_role_only), ".spec.template.spec.updateStrategy is filled in"),
    Mutation("no update type", _no_update_type, ".spec.updateStrategy"),
    Mutation("words unquoted", _plain_words, "refused: pod-rescheduling: True"),
    Mutation("numbers unquoted", _plain_numbers, "refused: "),
]  # fmt: skip
