"""Labels, annotations, selectors and env that a pass or a controller writes are not the user's to set."""

from __future__ import annotations

from collections.abc import Iterator

from stormc.facts.known_keys import NOUNS, OWNED, Key, Use
from stormc.model.app import App
from stormc.model.profile import Platform
from stormc.rules.finished import MAPS, Finished, environment
from stormc.rules.rule import IN_ROLE, Example, Rule, Sees, Violation, in_role
from stormc.rules.vocabulary import of_use

OWNED_KEYS = "E033"


def check_owned_keys(app: App, platform: Platform) -> Iterator[Violation]:
    """Keys that stormc or a controller writes are set through the spec field that owns them.

    A second value for such a key either loses without a word or breaks what reads it: a gang size that contradicts the
    replicas leaves the PodGroup Pending, a role-name of one's own cuts the pod off from its Service.
    """
    for role in (*app.serving_roles, app.routing):
        for table, attribute in MAPS.items():
            for key, known in of_use(table, getattr(role, attribute), *OWNED):
                hint = f"use {known.text}" if known.use is Use.FIELD else "remove it"
                path = (role.name, table, key)
                yield Violation(path, f"{role.name}.{table}.{key} is set by {_writer(known)}", hint, at_key=True)


def _writer(key: Key) -> str:
    return "stormc" if key.use is Use.FIELD else key.text


def check_patched_keys(finished: Finished) -> Iterator[Violation]:
    """An override writes no key that a controller writes.

    AIBrix overwrites its labels on pods of their own but lets a template's win inside a PodSet, where a wrong role-name
    takes the pod out of its Service; the scheduler reads its annotations back as the placement of the pod. An
    environment variable of AIBrix's is dropped, or stands there twice.
    """
    if not finished.app.overrides:
        return
    for template in finished.templates:
        for table, keys in (("labels", template.labels), ("annotations", template.annotations)):
            for key, known in of_use(table, keys, Use.CONTROLLER):
                path = finished.wrote_key(template.role, table, key)
                if path[0] == "overrides":
                    yield Violation(path, f"{NOUNS[table]} {key} is written by {known.text}", "remove it", at_key=True)
        for container, name, _ in environment(template):
            for key, known in of_use("env", [name], Use.CONTROLLER):
                path = finished.wrote_env(template.role, container, key)
                if path[0] == "overrides":
                    yield Violation(path, f"{NOUNS['env']} {key} is written by {known.text}", "remove it")


_CONSTANTS = "AIBrix v0.5.0 pkg/controller/constants/stormservice.go:19-47, podset_controller.go:373-377"


RULES = (
    Rule(
        OWNED_KEYS, check_owned_keys, f"MindCluster guide, parameter table; {_CONSTANTS}",
        bad=(
            Example('decode: {annotations: {huawei.com/schedule_minAvailable: "3"}}',
                    "decode.annotations.huawei.com/schedule_minAvailable"),
            Example('prefill: {env: {POD_GROUP_INDEX: "0"}}', "prefill.env.POD_GROUP_INDEX"),
            Example("prefill: {labels: {role-name: p}}", "prefill.labels.role-name"),
            Example("decode: {annotations: {hccl/rankIndex: '0'}}", "decode.annotations.hccl/rankIndex"),
            Example("routing: {nodeSelector: {accelerator-type: card}}", "routing.nodeSelector.accelerator-type"),
        ),
        good=(Example("decode: {env: {HCCL_BUFFSIZE: 600}, labels: {team: search}, nodeSelector: {zone: a}}"),),
    ),
    Rule(
        "E053", check_patched_keys, _CONSTANTS,
        bad=(
            Example(in_role("decode", "{metadata: {labels: {role-name: d}}}"),
                    f"{IN_ROLE}.metadata.labels.role-name"),
            Example(in_role("routing", "{spec: {containers: [{name: router, env: [{name: ROLE_NAME, value: x}]}]}}"),
                    f"{IN_ROLE}.spec.containers[0].env[0]"),
        ),
        good=(Example(in_role("decode", "{metadata: {labels: {team: search}}}")),),
        sees=Sees.MANIFESTS,
    ),
)  # fmt: skip
