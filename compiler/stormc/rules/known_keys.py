"""Keys that nobody reads, that mean something else, or that are a slip of the pen."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from stormc.facts.keys import Label
from stormc.facts.known_keys import NOUNS, RESERVED, TABLES, Use
from stormc.rules.finished import Finished, Template, environment
from stormc.rules.rule import IN_ROLE, Example, Rule, Sees, Violation, in_role
from stormc.rules.vocabulary import home, meant, of_use

NO_EFFECT = "MindCluster docs 06_api/15_yaml_configuration.md; ascend-for-volcano npu.go:608-632, plugin/job.go:212-235"


def _tables(template: Template) -> tuple[tuple[str, Mapping[str, str]], ...]:
    return (
        ("labels", template.labels), ("annotations", template.annotations), ("nodeSelector", template.node_selector),
    )  # fmt: skip


def check_spelling(finished: Finished) -> Iterator[Violation]:
    """A key that is almost one of MindCluster's, Volcano's or AIBrix's is that key, misspelt.

    All three ignore keys that they do not know, without a word: with `subHeathyStrategy`, which a shipped example of
    the k8s-deploy-tool contains, sub-healthy chips are used on as if nothing had been configured.
    """
    for template in finished.templates:
        for table, keys in _tables(template):
            for key in keys.keys() - TABLES[table].keys():
                known = None if home(table, key) else meant(table, key)
                if known:
                    path = finished.wrote_key(template.role, table, key)
                    yield Violation(path, f"{NOUNS[table]} {key} is unknown", f"did you mean {known}?", at_key=True)
        known_env = TABLES["env"]
        for container, name, _ in environment(template):
            known = None if name in known_env else meant("env", name)
            if known:
                path = finished.wrote_env(template.role, container, name)
                yield Violation(path, f"environment variable {name} is unknown", f"did you mean {known}?", at_key=True)


def check_reserved(finished: Finished) -> Iterator[Violation]:
    """Every key with a prefix of MindCluster, Volcano or AIBrix is one that they know.

    A key that no supported release reads has no effect: either the release is newer than stormc, or the key is wrong.
    """
    for template in finished.templates:
        for table, keys in (("labels", template.labels), ("annotations", template.annotations)):
            for key in keys.keys() - TABLES[table].keys():
                if key.startswith(RESERVED) and not home(table, key) and not meant(table, key):
                    path = finished.wrote_key(template.role, table, key)
                    yield Violation(path, f"no supported release reads {NOUNS[table]} {key}", "remove it", at_key=True)


def check_effect(finished: Finished) -> Iterator[Violation]:
    """A key stands where it is read.

    Some keys are read on a PodGroup, a StormService or in the scheduler's configuration only, others as a label and not
    as an annotation. Anywhere else they are ignored, and what was meant to be switched on stays off.
    """
    for template in finished.templates:
        for table, keys in (("labels", template.labels), ("annotations", template.annotations)):
            for key, known in of_use(table, keys, Use.ELSEWHERE):
                path = finished.wrote_key(template.role, table, key)
                yield Violation(path, f"{NOUNS[table]} {key} has no effect on a pod", known.text, at_key=True)
            for key in keys:
                other = home(table, key)
                if other:
                    path = finished.wrote_key(template.role, table, key)
                    yield Violation(path, f"{key} has no effect as {_an(table)}", f"it is read as {_an(other)}",
                                    at_key=True)  # fmt: skip


def _an(table: str) -> str:
    return f"an {NOUNS[table]}" if table == "annotations" else f"a {NOUNS[table]}"


def check_foreign(finished: Finished) -> Iterator[Violation]:
    """No key of training jobs or of another serving system stands on a pod.

    `process-recover-enable: on` makes Volcano delete the faulty pod alone, though its peers hold a dead communication
    group; the labels of OME and MindIE switch every fault to pod-only rescheduling (rescheduling/job.go:919-928).
    """
    for template in finished.templates:
        for table, keys in (("labels", template.labels), ("annotations", template.annotations)):
            for key, known in of_use(table, keys, Use.FOREIGN):
                path = finished.wrote_key(template.role, table, key)
                yield Violation(path, f"{NOUNS[table]} {key} is not for inference", known.text, at_key=True)
        for container, name, _ in environment(template):
            for _, known in of_use("env", (name,), Use.FOREIGN):
                path = finished.wrote_env(template.role, container, name)
                yield Violation(path, f"environment variable {name} is not for inference", known.text, at_key=True)


def check_mindie(finished: Finished) -> Iterator[Violation]:
    """The labels `app` and `jobID` do not stand together, and `app` is no MindIE name.

    The two labels switch the scheduler to the placement of MindIE services; `app: mindie-ms-…` switches every fault to
    pod-only rescheduling.
    """
    for template in finished.templates:
        app = template.labels.get("app", "")
        if "app" in template.labels and Label.JOB in template.labels:
            path = finished.wrote_key(template.role, "labels", Label.JOB)
            yield Violation(path, "labels app and jobID together select MindIE's placement", "rename one", at_key=True)
        elif app.startswith("mindie-ms-"):
            path = finished.wrote_key(template.role, "labels", "app")
            yield Violation(path, f"label app {app} selects MindIE's fault handling", "choose another value")


TOR_AFFINITY = ("large-model-schema", "normal-schema", "null")


def check_tor_affinity(finished: Finished) -> Iterator[Violation]:
    """tor-affinity has one of its three values.

    Volcano's NSLB handler refuses the job for any other value, and the pods stay Pending.
    """
    for template, value in _tor_affinity(finished):
        if value not in TOR_AFFINITY:
            path = finished.wrote_key(template.role, "labels", Label.TOR_AFFINITY)
            yield Violation(path, f"tor-affinity {value} is not one of {', '.join(TOR_AFFINITY)}", "remove it")


def check_tor_use(finished: Finished) -> Iterator[Violation]:
    """tor-affinity is for training on Atlas A2.

    It needs the ConfigMap basic-tor-node-cm in the cluster; without it every job with this label stays Pending.
    """
    for template, value in _tor_affinity(finished):
        if value in ("large-model-schema", "normal-schema"):
            path = finished.wrote_key(template.role, "labels", Label.TOR_AFFINITY)
            yield Violation(path, "tor-affinity is for training jobs", "remove it", at_key=True)


def _tor_affinity(finished: Finished) -> Iterator[tuple[Template, str]]:
    for template in finished.templates:
        if Label.TOR_AFFINITY in template.labels:
            yield template, template.labels[Label.TOR_AFFINITY]


def check_service_affinity(finished: Finished) -> Iterator[Violation]:
    """inferserviceid is for super-pod products.

    Only the -sp handlers read it, to place the pods of a service in one super pod; elsewhere it has no effect.
    """
    if finished.app.profile.super_pod:
        return
    for template in finished.templates:
        if Label.INFER_SERVICE in template.labels:
            path = finished.wrote_key(template.role, "labels", Label.INFER_SERVICE)
            yield Violation(path, f"inferserviceid has no effect on {finished.app.profile.name}", "remove it",
                            at_key=True)  # fmt: skip


_NSLB = "ascend-for-volcano internal/nslb/frame.go:32-95"
_A2 = "hardware: atlas-800i-a3, prefill: {tensorParallel: 8, %s}"

RULES = (
    Rule(
        "E051", check_spelling, "ascend-for-volcano plugin/job.go:607-615; k8s-deploy-tool stormservice-config.yaml",
        bad=(
            Example("decode: {labels: {subHeathyStrategy: graceExit}}", "decode.labels.subHeathyStrategy"),
            Example("prefill: {annotations: {huawei.com/sp_block: '16'}}", "prefill.annotations.huawei.com/sp_block"),
            Example("prefill: {annotations: {schedule_minavailable: '2'}}",
                    "prefill.annotations.schedule_minavailable"),
            Example("prefill: {env: {HCCL_BUFSIZE: 600}}", "prefill.env.HCCL_BUFSIZE"),
            Example("decode: {nodeSelector: {acelerator-type: card}}", "decode.nodeSelector.acelerator-type"),
            Example(in_role("decode", "{metadata: {labels: {pod-reschedulin: 'on'}}}"),
                    f"{IN_ROLE}.metadata.labels.pod-reschedulin"),
        ),
        good=(Example("decode: {labels: {app: qwen, team: search, job-id: a}, env: {VLLM_LOGGING_LEVEL: INFO}, "
                      "nodeSelector: {beta.kubernetes.io/arch: arm64}}"),),
        sees=Sees.MANIFESTS,
    ),
    Rule(
        "W052", check_reserved, "ascend-for-volcano common/util/constants.go; AIBrix constants/stormservice.go",
        bad=(Example("decode: {annotations: {huawei.com/turbo: 'on'}}", "decode.annotations.huawei.com/turbo"),),
        good=(Example("decode: {annotations: {example.com/turbo: 'on'}}"),),
        sees=Sees.MANIFESTS,
    ),
    Rule(
        "W034", check_effect, NO_EFFECT,
        bad=(
            Example("decode: {annotations: {huawei.com/schedule_enable_dequeue: 'on'}}",
                    "decode.annotations.huawei.com/schedule_enable_dequeue"),
            Example("decode: {labels: {sp-block: '16'}}", "decode.labels.sp-block"),
            Example("decode: {annotations: {fault-scheduling: force}}", "decode.annotations.fault-scheduling"),
            Example("routing: {annotations: {model.aibrix.ai/sidecar-injection: 'false'}}",
                    "routing.annotations.model.aibrix.ai/sidecar-injection"),
            Example("decode: {annotations: {scheduling.volcano.sh/group-min-member: '2'}}",
                    "decode.annotations.scheduling.volcano.sh/group-min-member"),
            Example("decode: {labels: {accelerator-type: module-a3-16}}", "decode.labels.accelerator-type"),
        ),
        good=(Example("decode: {annotations: {huawei.com/skip-ascend-plugin: enabled}}"),),
        sees=Sees.MANIFESTS,
    ),
    Rule(
        "E032", check_foreign, "ascend-for-volcano internal/rescheduling/job.go:446-448, 529-531, 919-928",
        bad=(
            Example("decode: {labels: {process-recover-enable: 'on'}}", "decode.labels.process-recover-enable"),
            Example("decode: {annotations: {recover-strategy: retry}}", "decode.annotations.recover-strategy"),
            Example("decode: {labels: {ome.io/inferenceservice: x}}", "decode.labels.ome.io/inferenceservice"),
            Example("decode: {labels: {huawei.com/scheduler.softShareDev.policy: elastic}}",
                    "decode.labels.huawei.com/scheduler.softShareDev.policy"),
            Example("decode: {env: {ProcessRecoverStrategy: x}}", "decode.env.ProcessRecoverStrategy"),
        ),
        good=(Example("decode: {labels: {ring-controller.atlas: ascend-910b}}"),),
        sees=Sees.MANIFESTS,
    ),
    Rule(
        "E035", check_mindie, "ascend-for-volcano superpod/mindie_job.go:40-53, internal/rescheduling/job.go:919-928",
        bad=(
            Example("decode: {labels: {app: a, jobID: b}}", "decode.labels.jobID"),
            Example("decode: {labels: {app: mindie-ms-controller}}", "decode.labels.app"),
        ),
        good=(Example("decode: {labels: {app: qwen}}"),),
        sees=Sees.MANIFESTS,
    ),
    Rule(
        "E031", check_tor_affinity, _NSLB,
        bad=(Example("decode: {labels: {tor-affinity: large}}", "decode.labels.tor-affinity"),),
        good=(Example("decode: {labels: {tor-affinity: 'null'}}"),),
        sees=Sees.MANIFESTS,
    ),
    Rule(
        "W031", check_tor_use, _NSLB,
        bad=(Example("decode: {labels: {tor-affinity: normal-schema}}", "decode.labels.tor-affinity"),),
        good=(Example("decode: {labels: {tor-affinity: 'null'}}"),),
        sees=Sees.MANIFESTS,
    ),
    Rule(
        "W045", check_service_affinity, "MindCluster docs 01_affinity_scheduling/06_infer_affinity_scheduling.md",
        bad=(Example(f"{{{_A2}}}" % "labels: {inferserviceid: a}", "prefill.labels.inferserviceid"),),
        good=(Example("prefill: {labels: {inferserviceid: a}}"),),
        sees=Sees.MANIFESTS,
    ),
)  # fmt: skip
