"""The rules of what the pods of a StormService run, for admission."""

from __future__ import annotations

from collections.abc import Iterator

from stormc.facts.pods import PROBES
from stormc.policy import environment, programs, secrets
from stormc.policy.cel import Rule, arguments, containers, escaped, matching, texts, words
from stormc.policy.cel import environment as variables
from stormc.policy.policy import Policy
from stormc.targets.programs import LAUNCHER_COMMAND, PROXY_COMMAND

OWN_PROBE = (
    r"^\[ \"\$POD_GROUP_INDEX\" = 0 \] \|\| exit 0; exec 3<>\"/dev/tcp/\$POD_IP/[0-9]+\" && "
    r"printf '[^;|&`$'<>]*' >&3 && read -r _ code _ <&3 && \[ \"\$code\" = 200 \]$"
)
"""The whole of stormc's own probe of a group (passes/engine/probes.py)."""


def program_rules(policy: Policy) -> Iterator[Rule]:
    """Images, containers, commands, hooks, flags and variables."""
    for part in (_images, _programs, _hooks, _flags, _environment, _loaders):
        yield from part(policy)


def _images(policy: Policy) -> Iterator[Rule]:
    for _, prefixes in policy.values("registries"):
        beginnings = "|".join(escaped(each) + ("" if each[-1] in "/:@" else "(?:[/:@]|$)") for each in prefixes)
        yield (
            "E802",
            "an image is from no registry of the policy",
            containers(matching("c.image", f"^(?:{beginnings})")),
        )
    for _, how in policy.values("images"):
        pinned = "@sha256:" if how == "digest" else "@sha256:|:[^/:]+$"
        yield "E803", f"an image has no {how}", containers(matching("c.image", pinned))


def _programs(policy: Policy) -> Iterator[Rule]:
    yield (
        "E808",
        "a pod has a container that is not stormc's",
        (
            "variables.roles.all(r, r.?template.?spec.?initContainers.orValue([]).size() == 0 && "
            "r.?template.?spec.?containers.orValue([]).all(c, "
            'c.name == (r.name == "routing" ? "router" : r.name) && r.name in ["prefill", "decode", "routing"]))'
        ),
    )
    allowed = {field: [value for _, value in policy.values("engine", field)] for field in ("command", "script")}
    if "deny" in allowed["script"] and ("deny" in allowed["command"] or not allowed["command"]):
        commands = f"[{', '.join(words(command) for command in (LAUNCHER_COMMAND, PROXY_COMMAND))}]"
        yield (
            "E813",
            "a container runs another program than stormc's",
            containers(f"c.?command.orValue([]) in {commands} && c.?args.orValue([]).size() > 0"),
        )


def _hooks(_: Policy) -> Iterator[Rule]:
    probes = " && ".join(
        f"(!has(c.{probe}) || !has(c.{probe}.exec) || (c.{probe}.exec.command.size() == 3 && "
        f"c.{probe}.exec.command[0] == '/bin/bash' && c.{probe}.exec.command[1] == '-c' && "
        f"{matching(f'c.{probe}.exec.command[2]', OWN_PROBE)}))"
        for probe in PROBES
    )
    yield (
        "E813",
        "a probe or hook runs a program, or another directory of work is set",
        containers(
            f"{probes} && !has(c.lifecycle.postStart) && (!has(c.lifecycle.preStop) || "
            "!has(c.lifecycle.preStop.exec) || c.lifecycle.preStop.exec.command[0] == 'sleep') && "
            'c.?workingDir.orValue("/opt/stormc") == "/opt/stormc"'.replace(
                "has(c.lifecycle.", "has(c.?lifecycle.orValue({})."
            )
        ),
    )


def _flags(policy: Policy) -> Iterator[Rule]:
    if any(value == "deny" for _, value in policy.values("trustRemoteCode")):
        pattern = r"^--trust[-_]remote[-_]code($|=[^fF])"
        yield "E812", "an engine runs code from the model's directory", arguments(f"!{matching('a', pattern)}")
    names = "|".join(flag.replace("-", "[-_]") for flag in programs.CODE_FLAGS)
    executors = "|".join(programs.EXECUTORS)
    keys = rf"^--[a-z0-9._-]+\.(?:{'|'.join(programs.CODE_KEYS)})(?:=|$)|\"(?:{'|'.join(programs.CODE_KEYS)})\""
    yield (
        "E813",
        "a flag loads code that is not the engine's",
        arguments(
            f"!{matching('a', f'^--(?:{names})(?:=|$)')} && !{matching('a', keys)} && "
            f"(!{matching('a', '^--distributed[-_]executor[-_]backend(=|$)')} || {matching('a', f'=(?:{executors})$')})"
        ),
    )
    clients = "|".join(flag.replace("-", "[-_]") for flag in programs.CLIENT_FLAGS)
    yield (
        "E813",
        "a flag lets clients load files or objects",
        arguments(f"!{matching('a', f'^--(?:{clients})(?:=|$)')}"),
    )


def _environment(_: Policy) -> Iterator[Rule]:
    names = f"(?i:{secrets.NAME.removeprefix('(?i)')})"
    value, form = 'e.?value.orValue("")', f"{secrets.VALUE}|{secrets.URL}"
    yield (
        "E815",
        "a variable holds a secret in plain text",
        variables(
            f'!({matching("e.name", f"^{names}$")} && {value} != "" && !{value}.contains("$(")) && '
            f"!{matching(value, form)}"
        ),
    )
    inner = f'"{names.replace(".*", "[A-Za-z0-9_-]*")}" *: *"[^"]'
    yield (
        "E815",
        "a flag holds a secret in plain text",
        containers(
            f"c.?args.orValue([]).all(a, !{matching('a', f'^--{names}(?:=.|$)')} && !{matching('a', form)} && "
            f"!{matching('a', inner)})"
        ),
    )
    yield "E816", "a variable holds ${…}", variables(f'!{value}.contains("${{")')


def _loaders(_: Policy) -> Iterator[Rule]:
    value = 'e.?value.orValue("")'
    directories = "|".join(escaped(each) for each in environment.IMAGE)
    places = rf"(?:(?:{directories})(?:/[A-Za-z0-9_+-][A-Za-z0-9_.+-]*)*[: ]?)*"
    loaders = f"(?:{'|'.join(environment.PREFIXES)})[A-Z0-9_]*|{'|'.join(environment.LOADERS)}"
    yield (
        "E813",
        "a variable loads code that is not the image's",
        variables(
            f"!{matching('e.name', f'^(?:{loaders})$')} || e.name in {texts(environment.HARMLESS)} || "
            f"(!has(e.valueFrom) && {matching(value, f'^{places}$')})"
        ),
    )
    yield (
        "E813",
        "the launcher prepends what is not the image's",
        containers(
            f"c.?args.orValue([]).all(a, !{matching('a', f'^--prepend=(?:{loaders})=')} || "
            f"{matching('a', f'^--prepend=[A-Z0-9_]+={places}$')})"
        ),
    )
    yield (
        "E813",
        "a variable lets clients change the engine",
        variables(f'!(e.name in {texts(environment.SWITCHES)}) || {value} in ["", "0"]'),
    )
