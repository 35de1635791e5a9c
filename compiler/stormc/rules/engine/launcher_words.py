"""stormc's launcher gets options that it knows, and the command that it shall start.

An override that replaces `args` of an engine replaces the launcher's options and `-- vllm serve …`, too. The launcher
then refuses to start, and no pod of the role ever does.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from stormc.facts.keys import Directory
from stormc.phrase import phrase
from stormc.rules.pods import wrote
from stormc.rules.rule import Example, Rule, Subject, Violation
from stormc.rules.storm_service import StormService
from stormc.targets.programs import LAUNCHER_OPTIONS


def check(service: StormService) -> Iterator[Violation]:
    for role, template in service.serving:
        for container in template.containers:
            words = [str(word) for field in ("command", "args") for word in container.get(field) or ()]
            if container.get("name") != role.name or not words[1:] or not words[1].startswith(Directory.LAUNCHER):
                continue
            refused = _refused(words[2:])
            if refused is None:
                continue
            message = (
                phrase("{role}: the launcher has no option {word}", role=role.name, word=refused)
                if refused
                else phrase("{role}: the launcher gets no command to start", role=role.name)
            )
            hint = phrase("write flags in engineArgs, or all of args: -- vllm serve …")
            yield Violation(wrote(service, template, "containers", role.name, "args"), message, hint)


def _refused(words: Sequence[str]) -> str | None:
    """The first word that is no option where one must stand; empty where no command follows; None where all is well."""
    index = 0
    while index < len(words) and words[index].startswith("-"):
        option, equals, _ = words[index].partition("=")
        if option == "--":
            return None if words[index + 1 :] else ""
        if option not in LAUNCHER_OPTIONS:
            return option
        index += 1 if equals else 1 + LAUNCHER_OPTIONS[option]
    return None if words[index:] else ""


RULE = Rule(
    "E733", __doc__, check,
    source="compiler/stormc/payload/launch.py",
    bad=(
        Example(at="template.spec.containers[0].args", role="decode", template="""
            spec:
              containers:
              - name: decode
                args:
                - --max-num-seqs=64
            """),
        Example(at="template.spec.containers[0].args", role="prefill", template="""
            spec:
              containers:
              - name: prefill
                args:
                - --external-dp
            """),
    ),
    good=(
        Example(role="decode", template="""
            spec:
              containers:
              - name: decode
                command:
                - sleep
                args:
                - infinity
            """),
    ),
    instead=(
        Example("""
            decode:
              engineArgs:
                max-num-seqs: 64
            """),
    ),
    subject=Subject.MANIFESTS,
    only_when_overridden=True,
)  # fmt: skip
