"""The stages of a compilation in a row; they stand nowhere else."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from stormc.compile.compilation import Compilation, Setting, Spec, Stage
from stormc.compile.findings import apply_rules, crd_refusals, policy_breaches, refusals
from stormc.emit.checks import REFUSED
from stormc.finding import Finding, closest, has_errors
from stormc.model.app import App
from stormc.model.build import build_app
from stormc.model.check import check_app
from stormc.model.checks import UNKNOWN_PROFILE
from stormc.model.layers import Layered
from stormc.model.summary import Summary
from stormc.model.wrong_fields import Rest, without_wrong_fields
from stormc.passes import PIPELINE
from stormc.passes.runner import Compiled, run_pipeline
from stormc.phrase import Phrase, either, phrase
from stormc.policy.breach import Case
from stormc.record import NamedTuple, replace
from stormc.rules.mistakes import without_mistakes
from stormc.rules.rule import Subject
from stormc.rules.storm_service import StormService, host_ports
from stormc.targets.storm_service import storm_service
from stormc.tree.layout import layout


def compile_app(spec: Spec, setting: Setting, stop: Stage = Stage.FILES) -> Compilation:
    """One spec as far as `stop`: check, build, rules, passes, rules, layout.

    All independent findings come in one run: where fields are wrong in themselves, the rules judge the rest of the
    app; after an error of a rule they judge the manifests without what causes it.
    """
    layered = spec.layered
    fields, findings = _check_fields(layered, setting)
    profiles = setting.stand_ins if setting.profile is None else (setting.profile,)
    if fields is None or not profiles:
        return Compilation(spec.source, tuple(findings), layered)
    results = [
        _compile_fields(data, spec, replace(setting, profile=profile), stop, partly=fields.rest is not None)
        for data in fields.variants
        for profile in profiles
    ]
    if fields.rest is not None:
        findings += fields.rest.independent([result.findings for result in results])
        return Compilation(spec.source, tuple(findings), layered)
    result = results[0]
    findings += result.findings
    writes_files = stop >= Stage.DRAFT and not has_errors(findings)
    files = _lay_out(result.compiled, result.summary, spec.file) if writes_files else None
    return Compilation(spec.source, tuple(findings), layered, result.app, result.summary, result.compiled, files)


class _Result(NamedTuple):
    """An app that was built of checked fields, its manifests if they were asked for, and the findings on both."""

    findings: list[Finding]
    app: App
    summary: Summary
    compiled: Compiled | None


def _compile_fields(data: Mapping[str, Any], spec: Spec, setting: Setting, stop: Stage, *, partly: bool) -> _Result:
    """Build, rules, passes, rules. Of fields that are only a part of the app, overrides and schemas are left out."""
    assert setting.profile is not None
    platform = setting.platform
    app = build_app(data, spec.file, setting.profile, platform, setting.payload, setting.engines)
    findings = list(apply_rules(Subject.APP, spec.layered, app, app, platform))
    summary = _summarize(app, spec, setting)
    if stop <= Stage.APP:
        return _Result(findings, app, summary, None)
    possible = without_mistakes(app, {finding.rule for finding in findings})
    possible = replace(possible, overrides=()) if partly else possible
    compiled = run_pipeline(PIPELINE, possible, platform)
    schemas = stop is Stage.FILES or bool(possible.overrides)
    refused = [] if partly else list(refusals(compiled.manifests, spec.layered, possible, schemas=schemas))
    setting = replace(setting, crd=None) if partly else setting
    on_manifests, ports = _check_manifests(compiled, possible, spec, setting, refused)
    if has_errors(findings):  # what the API server refuses may follow from them
        on_manifests = [finding for finding in on_manifests if finding.rule != REFUSED]
    return _Result([*findings, *on_manifests], app, summary._replace(host_ports=ports), compiled)


def _check_manifests(
    compiled: Compiled, app: App, spec: Spec, setting: Setting, refused: Sequence[Finding]
) -> tuple[list[Finding], tuple[tuple[int, int, str], ...]]:
    """The findings on the manifests, and the ports that they take of a node. Rules see only what has a valid shape."""
    layered = spec.layered
    findings = list(refused)
    ports: tuple[tuple[int, int, str], ...] = ()
    if not (refused and app.overrides):
        service = StormService(app, setting.platform, storm_service(compiled.manifests))
        findings += apply_rules(Subject.MANIFESTS, layered, app, service)
        case = Case(app, setting.policy, compiled.manifests, layered.data)
        findings += policy_breaches(case, layered, spec.source.path)
        ports = host_ports(service)
    if setting.crd is not None:
        findings += crd_refusals(setting.crd, compiled.manifests, layered, app)
    return findings, ports


class _Fields(NamedTuple):
    """Checked fields with their defaults, one set for each variant of the `rest` where some were wrong."""

    variants: tuple[Mapping[str, Any], ...]
    rest: Rest | None = None


def _check_fields(layered: Layered, setting: Setting) -> tuple[_Fields | None, list[Finding]]:
    data, findings = check_app(layered)
    findings += _unknown_profile(layered, setting)
    if setting.profile is None and not any(finding.path == ("hardware",) for finding in findings):
        return None, findings
    if data is not None and setting.profile is not None:
        return _Fields((data,)), findings
    rest = without_wrong_fields(layered, findings)
    if rest is None:
        return None, findings
    variants = [data for variant in rest.variants if (data := check_app(variant)[0]) is not None]
    return (_Fields(tuple(variants), rest) if len(variants) == len(rest.variants) else None), findings


def _unknown_profile(layered: Layered, setting: Setting) -> Iterator[Finding]:
    hardware = layered.data.get("hardware")
    if setting.profile is None and isinstance(hardware, str) and hardware not in setting.profile_names:
        file, mark = layered.locate(("hardware",))
        message = phrase("hardware {hardware!r} is no known profile", hardware=hardware)
        hint = _profile_hint(hardware, setting.profile_names)
        yield Finding(UNKNOWN_PROFILE, file, mark, message, hint, ("hardware",))


def _profile_hint(hardware: str, names: Mapping[str, Collection[str]]) -> Phrase:
    """A hint at the profile that is probably meant, also by its accelerator-type, its policy or its printed name."""
    called = sorted(name for name, words in names.items() if hardware in words)
    if called:
        return phrase("{hardware} is a word of the scheduler's; write {names}", hardware=hardware, names=either(called))
    printed = "-".join(word for word in hardware.lower().split() if word.isascii())
    longer = sorted(name for name in names if printed and name.startswith(printed))
    if longer:
        return phrase("write {names}", names=either(longer))
    meant = closest(hardware, names)
    return phrase("did you mean {meant}?", meant=meant) if meant else phrase("stormc profiles lists them")


def _summarize(app: App, spec: Spec, setting: Setting) -> Summary:
    file, mark = spec.layered.locate(("name",))
    npus = sum(role.npus * role.pod_group_size * role.replicas for role in app.serving_roles)
    seconds = sum(role.replicas for role in app.serving_roles) * app.engine.startup_seconds
    days = tuple((index, o.expires) for index, o in enumerate(app.overrides) if o.expires)
    return Summary(
        app.namespace, app.name, spec.source.directory_of(app.name), app.profile.name, npus, seconds, file, mark,
        cluster=setting.platform.cluster, inventory=setting.inventory,
        model="" if app.gateway == "off" else app.model.name, expiries=days,
        shared=app.shared,
    )  # fmt: skip


def _lay_out(compiled: Compiled | None, summary: Summary, spec_file: str) -> Mapping[str, bytes]:
    files = layout(compiled.manifests if compiled else (), spec_file)
    return {f"{summary.directory}/{name}": text.encode() for name, text in files.items()}
