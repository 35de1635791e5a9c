"""Fault recovery: the labels, the annotation, restartPolicy and grace period must form one policy."""

from __future__ import annotations

from collections.abc import Iterator

from stormc.facts import limits
from stormc.facts.keys import Annotation, Label
from stormc.model.app import App
from stormc.model.profile import Platform
from stormc.rules.finished import Finished, Template
from stormc.rules.rule import IN_ROLE, Example, Rule, Sees, Violation, both, in_role

RECOVERY = Annotation.RECOVER_POLICY_PATH


def check_shared_recovery(finished: Finished) -> Iterator[Violation]:
    """In the PodGroup that roles of podGroupSize 1 share, recovery stops at the pod.

    Without both `pod-rescheduling: on` and `recover_policy_path: pod` the fault of one chip makes Volcano delete every
    pod of the PodGroup: all prefill and decode instances of podGroupSize 1 at once.
    """
    if not finished.app.overrides:
        return
    for role, template in finished.sharing:
        if template.labels.get(Label.POD_RESCHEDULING) != "on":
            path = finished.wrote_key(role.name, "labels", Label.POD_RESCHEDULING)
            yield Violation(path, f"{role.name} has podGroupSize 1 and no pod-rescheduling: on", "do not override it")
        if template.annotations.get(RECOVERY) != "pod":
            path = finished.wrote_key(role.name, "annotations", RECOVERY)
            yield Violation(path, f"{role.name} has podGroupSize 1 and no {RECOVERY}: pod", "do not override it")


def check_instance_recovery(finished: Finished) -> Iterator[Violation]:
    """An instance of several pods restarts as a whole.

    With pod-rescheduling or recover_policy_path only the faulty pod is replaced, and its peers keep a dead
    communication group: the instance hangs instead of recovering.
    """
    for role, template in finished.serving:
        if role.shares_pod_group:
            continue
        for table, keys, key in (
            ("labels", template.labels, Label.POD_RESCHEDULING), ("annotations", template.annotations, RECOVERY),
        ):  # fmt: skip
            if key in keys:
                path = finished.wrote_key(role.name, table, key)
                message = f"{role.name} has podGroupSize {role.pod_group_size} and {key}"
                yield Violation(path, message, "remove it", at_key=True)


SCHEDULING = ("grace", "force", "off")


def check_scheduling(finished: Finished) -> Iterator[Violation]:
    """fault-scheduling is grace, force or off.

    Volcano does not react to faults at all for another value. external-grace and external-force leave the work to
    MindCluster's infer-operator, which does not look at a StormService.
    """
    for role, template in finished.serving:
        value = template.labels.get(Label.FAULT_SCHEDULING, "off")
        if value not in SCHEDULING:
            path = finished.wrote_key(role.name, "labels", Label.FAULT_SCHEDULING, ("faults", "scheduling"))
            yield Violation(path, f"fault-scheduling {value} switches fault recovery off", "use grace, force or off")


def check_retries(finished: Finished) -> Iterator[Violation]:
    """fault-retry-times is a whole number from 0 to 100.

    Anything else counts as 0, and a crashed process is never rescheduled; a negative number is a spent budget.
    """
    for role, template in finished.serving:
        value = template.labels.get(Label.FAULT_RETRY_TIMES)
        if value is not None and not (value.isascii() and value.isdigit() and int(value) <= limits.RETRIES_MAX):
            path = finished.wrote_key(role.name, "labels", Label.FAULT_RETRY_TIMES, ("faults", "retries"))
            yield Violation(path, f"fault-retry-times {value} is no number from 0 to {limits.RETRIES_MAX}",
                            "use faults.retries")  # fmt: skip


def _retries(template: Template) -> bool:
    """Whether Volcano is asked to reschedule pods that failed."""
    value = template.labels.get(Label.FAULT_RETRY_TIMES, "0")
    return value.isascii() and value.isdigit() and int(value) > 0


def check_restart_policy(finished: Finished) -> Iterator[Violation]:
    """With retries, restartPolicy is Never.

    Volcano retries pods that have failed. A kubelet that restarts the container keeps the pod from failing, and inside
    a group of pods the restarted process never joins its peers again.
    """
    for role, template in finished.serving:
        policy = template.pod.get("restartPolicy", "Always")
        if _retries(template) and policy in ("Always", "OnFailure"):
            path = finished.wrote_pod(role.name, ("restartPolicy",), ("faults", "retries"))
            yield Violation(path, f"{role.name} has restartPolicy {policy} and fault-retry-times above 0",
                            "leave Never, or set faults.retries: 0")  # fmt: skip


def check_crash(app: App, platform: Platform) -> Iterator[Violation]:
    """An instance of several pods needs retries to survive the crash of a process.

    AIBrix does not replace a failed pod of a PodSet, whose name is still taken; only Volcano deletes it, and only
    with retries. Without them the instance stays broken until somebody deletes the pod.
    """
    if app.faults.retries or app.faults.scheduling == "off":
        return
    for role in app.serving_roles:
        if role.pod_group_size > 1:
            yield Violation(
                ("faults", "retries"), f"a crashed process of {role.name}, podGroupSize {role.pod_group_size}, is not "
                "recovered with retries 0", "set faults.retries above 0",
            )  # fmt: skip
            return


def check_off(finished: Finished) -> Iterator[Violation]:
    """Retries need fault scheduling.

    With fault-scheduling off or absent Volcano skips the job before it looks at fault-retry-times.
    """
    for role, template in finished.serving:
        if _retries(template) and template.labels.get(Label.FAULT_SCHEDULING, "off") == "off":
            path = finished.wrote_key(role.name, "labels", Label.FAULT_RETRY_TIMES)
            yield Violation(path, f"{role.name} has fault-retry-times and no fault-scheduling", "remove one of both")


SUB_HEALTHY = ("ignore", "graceExit", "forceExit")


def check_sub_healthy(finished: Finished) -> Iterator[Violation]:
    """subHealthyStrategy is ignore, graceExit or forceExit.

    Volcano takes any other value for ignore, without a word. hotSwitch needs the backup pods of Ascend Operator's
    training jobs and never fires on a StormService.
    """
    for role, template in finished.serving:
        value = template.labels.get(Label.SUB_HEALTHY_STRATEGY, "ignore")
        if value not in SUB_HEALTHY:
            path = finished.wrote_key(role.name, "labels", Label.SUB_HEALTHY_STRATEGY, ("faults", "subHealthy"))
            yield Violation(path, f"subHealthyStrategy {value} is taken for ignore", f"use {', '.join(SUB_HEALTHY)}")


def check_grace(finished: Finished) -> Iterator[Violation]:
    """With graceful fault scheduling, pods have 1 to 899 seconds to stop.

    Volcano force-deletes after grace-over-time, 900 seconds; until then every pod of the PodGroup waits for the one
    that is terminating.
    """
    for role, template in finished.serving:
        seconds = template.pod.get("terminationGracePeriodSeconds", 30)
        graceful = template.labels.get(Label.FAULT_SCHEDULING) == "grace"
        if graceful and not 1 <= seconds <= limits.GRACE_SECONDS_MAX:
            path = finished.wrote_pod(role.name, ("terminationGracePeriodSeconds",), ("faults", "gracePeriodSeconds"))
            yield Violation(path, f"terminationGracePeriodSeconds {seconds} is outside 1…{limits.GRACE_SECONDS_MAX}",
                            "set faults.gracePeriodSeconds")  # fmt: skip


def check_grace_use(app: App, platform: Platform) -> Iterator[Violation]:
    """gracePeriodSeconds needs scheduling grace.

    With force Volcano deletes with a grace of 0, with off it deletes nothing; stormc leaves the field out.
    """
    if app.faults.grace_period_seconds and app.faults.scheduling != "grace":
        yield Violation(
            ("faults", "gracePeriodSeconds"), f"gracePeriodSeconds has no effect with scheduling "
            f"{app.faults.scheduling}", "set scheduling: grace, or remove it",
        )  # fmt: skip


_JOB = "ascend-for-volcano internal/rescheduling/job.go"
_SINGLE = "decode: {podGroupSize: 1, dataParallel: 16}"

RULES = (
    Rule(
        "E006", check_shared_recovery, f"{_JOB}:409-454, 521-526; MindCluster guide, instance rescheduling",
        bad=(
            Example(in_role("prefill", "{metadata: {labels: {pod-rescheduling: 'off'}}}"),
                    f"{IN_ROLE}.metadata.labels.pod-rescheduling"),
            Example(in_role("prefill", "{metadata: {annotations: {huawei.com/recover_policy_path: null}}}"),
                    f"{IN_ROLE}.metadata.annotations.huawei.com/recover_policy_path"),
        ),
        good=(Example(in_role("prefill", "{metadata: {labels: {pod-rescheduling: 'on'}}}")),),
        sees=Sees.MANIFESTS,
    ),
    Rule(
        "E007", check_instance_recovery, f"{_JOB}:416-454; MindCluster guide, instance rescheduling",
        bad=(Example(in_role("decode", "{metadata: {labels: {pod-rescheduling: 'on'}}}"),
                     f"{IN_ROLE}.metadata.labels.pod-rescheduling"),),
        good=(Example(in_role("prefill", "{metadata: {labels: {pod-rescheduling: 'on'}}}")),),
        sees=Sees.MANIFESTS,
    ),
    Rule(
        "E008", check_scheduling, f"{_JOB}:714-732",
        bad=(
            Example(in_role("decode", "{metadata: {labels: {fault-scheduling: external-force}}}"),
                    f"{IN_ROLE}.metadata.labels.fault-scheduling"),
        ),
        good=(Example("faults: {scheduling: 'off'}"), Example("faults: {scheduling: grace}")),
        sees=Sees.MANIFESTS,
    ),
    Rule(
        "E011", check_retries, f"{_JOB}:613-627, 932-947; MindCluster docs 01_volcano.md, table 1",
        bad=(
            Example(in_role("decode", "{metadata: {labels: {fault-retry-times: many}}}"),
                    f"{IN_ROLE}.metadata.labels.fault-retry-times"),
            Example(in_role("decode", "{metadata: {labels: {fault-retry-times: '101'}}}"),
                    f"{IN_ROLE}.metadata.labels.fault-retry-times"),
        ),
        good=(Example("faults: {retries: 100}"), Example("faults: {retries: 0}")),
        sees=Sees.MANIFESTS,
    ),
    Rule(
        "E012", check_restart_policy, f"MindCluster guide, parameter table, fault-retry-times; {_JOB}:580-600",
        bad=(
            Example(in_role("decode", "{spec: {restartPolicy: Always}}"), f"{IN_ROLE}.spec.restartPolicy"),
            Example(in_role("decode", "{spec: {restartPolicy: null}}"), f"{IN_ROLE}.spec.restartPolicy"),
        ),
        good=(Example(both("faults: {retries: 0}", in_role("decode", "{spec: {restartPolicy: OnFailure}}"))),),
        sees=Sees.MANIFESTS,
    ),
    Rule(
        "W013", check_crash, "AIBrix v0.5.0 podset/podset_controller.go:218-303, 485-493",
        bad=(Example("faults: {retries: 0}", "faults.retries"),),
        good=(Example(f"{{faults: {{retries: 0}}, {_SINGLE}}}"), Example("faults: {retries: 0, scheduling: 'off'}")),
    ),
    Rule(
        "W014", check_off, "ascend-for-volcano internal/rescheduling/reschedule.go:101-114",
        bad=(Example(both("faults: {scheduling: 'off'}", in_role(
                "decode", "{metadata: {labels: {fault-retry-times: '3'}}, spec: {restartPolicy: Never}}")),
                     f"{IN_ROLE}.metadata.labels.fault-retry-times"),),
        good=(Example("faults: {scheduling: 'off', retries: 3}"),),
        sees=Sees.MANIFESTS,
    ),
    Rule(
        "E016", check_sub_healthy,
        "ascend-for-volcano plugin/job.go:607-615, internal/rescheduling/reschedule.go:892-897",
        bad=(Example(in_role("decode", "{metadata: {labels: {subHealthyStrategy: hotSwitch}}}"),
                     f"{IN_ROLE}.metadata.labels.subHealthyStrategy"),),
        good=(Example("faults: {subHealthy: graceExit}"),),
        sees=Sees.MANIFESTS,
    ),
    Rule(
        "E017", check_grace,
        "MindCluster docs 06_api/15_yaml_configuration.md; ascend-for-volcano plugin/factory.go:1012-1037",
        bad=(Example(both("faults: {scheduling: grace}",
                          in_role("decode", "{spec: {terminationGracePeriodSeconds: 900}}")),
                     f"{IN_ROLE}.spec.terminationGracePeriodSeconds"),),
        good=(Example("faults: {scheduling: grace, gracePeriodSeconds: 899}"),
              Example(in_role("decode", "{spec: {terminationGracePeriodSeconds: 900}}"))),
        sees=Sees.MANIFESTS,
    ),
    Rule(
        "W017", check_grace_use, f"{_JOB}:483-489",
        bad=(Example("faults: {gracePeriodSeconds: 60}", "faults.gracePeriodSeconds"),),
        good=(Example("faults: {scheduling: grace, gracePeriodSeconds: 60}"),),
    ),
)  # fmt: skip
