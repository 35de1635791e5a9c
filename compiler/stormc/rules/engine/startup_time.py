"""The startup probe waits as long as the engine itself.

vLLM waits VLLM_ENGINE_READY_TIMEOUT_S for its workers to load the model. A probe that gives up earlier kills a
healthy engine, each time at the same point.
"""

from __future__ import annotations

from collections.abc import Iterator

from stormc.facts.pods import seconds_until_failure
from stormc.phrase import phrase
from stormc.rules.engine_run import runs
from stormc.rules.rule import Example, Rule, Subject, Violation
from stormc.rules.storm_service import StormService

NAME = "VLLM_ENGINE_READY_TIMEOUT_S"


def check(service: StormService) -> Iterator[Violation]:
    for run in runs(service):
        probe, text = run.container.get("startupProbe") or {}, run.env.get(NAME, "")
        allowed = seconds_until_failure(probe)
        if probe and text.isdigit() and int(text) > allowed:
            message = phrase(
                "{role}: {name} is {text} s, the startup probe gives up after {allowed} s",
                role=run.role.name,
                name=NAME,
                text=text,
                allowed=allowed,
            )
            yield Violation(
                run.role.env_path(NAME), message, phrase("set engine.startupSeconds to {text} or more", text=text)
            )


RULE = Rule(
    "W712", __doc__, check,
    source="vllm vllm/envs.py VLLM_ENGINE_READY_TIMEOUT_S; Kubernetes core/v1 Probe",
    bad=(
        Example("""
            decode:
              env:
                VLLM_ENGINE_READY_TIMEOUT_S: 7200
            """, at="decode.env.VLLM_ENGINE_READY_TIMEOUT_S"),
    ),
    instead=(
        Example("""
            engine:
              startupSeconds: 7200
            decode:
              env:
                VLLM_ENGINE_READY_TIMEOUT_S: 7200
            """),
    ),
    subject=Subject.MANIFESTS,
)  # fmt: skip
