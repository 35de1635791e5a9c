"""vLLM flags as people write them, brought into the one form in which they are judged and passed on.

vLLM takes underscores for hyphens, `--a.b=1` for the key b of the mapping a, and JSON text for a mapping
(vllm/utils/argparse_utils.py, FlexibleArgumentParser). Here a flag has hyphens and no `no-`; a mapping is a mapping.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from stormc.finding import Path
from stormc.load.engines import EngineFacts
from stormc.record import NamedTuple

FIELDS_OF_FLAGS: Mapping[str, str] = {
    "port": "port",
    "data-parallel-size": "dataParallel",
    "data-parallel-size-local": "podGroupSize",
    "tensor-parallel-size": "tensorParallel",
    "pipeline-parallel-size": "pipelineParallel",
    "prefill-context-parallel-size": "prefillContextParallel",
    "decode-context-parallel-size": "decodeContextParallel",
}
"""The flags that stormc writes from a field of a role, and the field."""
OPTIONAL_SIZES = ("pipelineParallel", "prefillContextParallel", "decodeContextParallel")
SIZE_FLAGS: Mapping[str, str] = {field: flag for flag, field in FIELDS_OF_FLAGS.items() if field in OPTIONAL_SIZES}
"""The fields of a role that a pasted flag may give as well, and the flag."""


class Flag(NamedTuple):
    """The value of a flag, and the place in the spec that gave it. None says that the flag is not passed at all."""

    value: Any
    path: Path
    dotted: bool = False
    """Whether keys like `a.b` alone gave the mapping: then the command line has them like that, too."""
    contradicts: Path = ()
    """The key before it in the same mapping that gave the flag another value, if there is one."""


def flag_name(key: str, facts: EngineFacts) -> str:
    """The flag that a key of engineArgs means, without the keys inside its mapping."""
    name = key.lstrip("-").partition(".")[0].replace("_", "-")
    return name if name in facts.flags else facts.short.get(name, name)


def read_flags(args: Mapping[str, Any], prefix: Path, facts: EngineFacts) -> dict[str, Flag]:
    """The flags of a mapping of the spec. A negation is the flag with false."""
    flags: dict[str, Flag] = {}
    for key, value in args.items():
        name, path = flag_name(key, facts), (*prefix, key)
        inner = [step.replace("-", "_") for step in key.split(".")[1:]]  # no key of a vLLM config has a hyphen
        if inner:
            before = flags.get(name)
            mapping = before.value if before and isinstance(before.value, dict) else {}
            alone = before.dotted if before else True
            flags[name] = Flag(_put(mapping, inner, _of_text(value)), path, alone)
            continue
        positive = name.removeprefix("no-")
        if positive != name and name not in facts.flags and isinstance(value, (bool, type(None))):
            name, value = positive, None if value is None else not value
        value, before = typed(value, facts.flags.get(name)), flags.get(name)
        flags[name] = Flag(value, path, contradicts=before.path if before and before.value != value else ())
    return flags


def spellings(args: Mapping[str, Any], name: str, facts: EngineFacts) -> list[str]:
    """The keys of a mapping of the spec that give a flag; the flag itself where none does."""
    flag = next(iter(read_flags({name: True}, (), facts)))
    return [key for key in args if flag in read_flags({key: args[key]}, (), facts)] or [flag]


def merge_flags(shared: Mapping[str, Flag], own: Mapping[str, Flag]) -> dict[str, Flag]:
    """The flags of the app with those of a role over them; a dotted key of the role adds to the app's mapping."""
    merged = dict(shared)
    for name, flag in own.items():
        under = merged.get(name)
        adds = isinstance(flag.path[-1], str) and "." in flag.path[-1]
        if adds and under is not None and isinstance(under.value, dict) and isinstance(flag.value, dict):
            flag = Flag(deep_merge(under.value, flag.value), flag.path, flag.dotted and under.dotted)
        merged[name] = flag
    return merged


def deep_merge(under: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """The second mapping laid over the first, key by key at every depth."""
    result = dict(under)
    for key, value in over.items():
        old = result.get(key)
        result[key] = deep_merge(old, value) if isinstance(old, dict) and isinstance(value, dict) else value
    return result


def typed(value: Any, kind: Any) -> Any:
    """The value as the kind of its flag has it: JSON text becomes what it says, `1 2 4` becomes words."""
    if not isinstance(value, str) or kind == "text":
        return value
    if kind == "int":
        return int(value) if value.isascii() and value.lstrip("-").isdigit() else value
    if kind in ("json", "object") or (kind is None and value[:1] in "{["):
        return _of_json(value)
    if isinstance(kind, dict):
        return _of_json(value) if value[:1] == "[" else value.split() if kind["words"] == "int" else value
    if kind in ("switch", "once") and value.lower() in ("true", "false"):
        return value.lower() == "true"
    return value


def _of_json(value: Any) -> Any:
    if isinstance(value, str) and value.strip()[:1] in ("{", "["):
        try:
            return json.loads(value)
        except ValueError:
            return value
    return value


def _of_text(value: Any) -> Any:
    """The value after a dotted flag, which vLLM reads as JSON wherever it is JSON."""
    if isinstance(value, str):
        try:
            return json.loads(value)
        except ValueError:
            return value
    return value


def _put(mapping: Mapping[str, Any], steps: Sequence[str], value: Any) -> dict[str, Any]:
    step, rest = steps[0], steps[1:]
    if not rest and step.endswith("+"):
        old, new = mapping.get(step[:-1]), value.split(",") if isinstance(value, str) else [value]
        return {**mapping, step[:-1]: [*(old if isinstance(old, list) else []), *new]}
    inner = mapping.get(step)
    return {**mapping, step: _put(inner if isinstance(inner, dict) else {}, rest, value) if rest else value}


def words_of(name: str, value: Any, kind: Any) -> Iterator[str]:
    """The words by which a command line says a flag; none where a flag without negation is false."""
    if value is None:
        return
    if value is True:
        yield f"--{name}"
    elif value is False:
        if kind == "switch":
            yield f"--no-{name}"
    elif isinstance(value, list) and (isinstance(kind, dict) or kind is None):
        yield f"--{name}"
        yield from map(_word, value)
    elif isinstance(value, (dict, list)):
        yield f"--{name}={_json(value)}"
    else:
        yield f"--{name}={value}"


def dotted_words(name: str, mapping: Mapping[str, Any]) -> Iterator[str]:
    """The words by which a command line says a mapping key by key, as vLLM puts them together again."""
    for key, value in sorted(mapping.items()):
        if isinstance(value, dict) and value:
            yield from dotted_words(f"{name}.{key}", value)
        else:
            yield f"--{name}.{key}={value if isinstance(value, str) else _json(value)}"


def _word(value: Any) -> str:
    return _json(value) if isinstance(value, (dict, list)) else str(value)


def _json(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"), sort_keys=True, ensure_ascii=False)


class Command(NamedTuple):
    """A command line that runs `vllm serve`: the model, the flags in order, and what is no flag."""

    model: str
    flags: Mapping[str, Any]
    rest: tuple[str, ...]


def read_command(words: Sequence[str], facts: EngineFacts) -> Command:
    """What the words after `vllm serve` say, values as texts; the last of two equal flags holds, as in argparse."""
    model, index = "", 0
    rest: list[str] = []
    flags: dict[str, Any] = {}
    while index < len(words):
        word = words[index]
        index += 1
        if not word.startswith("-") or word == "-":
            if not model and not flags:
                model = word
            else:
                rest.append(word)
            continue
        key, equals, text = word.partition("=")
        name = key[2:]
        if equals and name in facts.flags and key.startswith("--"):  # as stormc writes nearly all of them
            flags[name] = typed(text, facts.flags[name])
            continue
        values = [text] if equals else []
        name = flag_name(key, facts)
        kind = facts.flags.get(name, "text")
        takes = 0 if equals or kind in ("switch", "once") or key.startswith("--no-") else _arity(kind)
        while len(values) < takes and index < len(words) and not _is_flag(words[index]):
            values.append(words[index])
            index += 1
        _add(flags, name, key, values, kind, facts)
    model = model or str(flags.pop("model", ""))
    return Command(model, flags, tuple(rest))


def _arity(kind: Any) -> int:
    return 1_000_000 if isinstance(kind, dict) else 1


def _is_flag(word: str) -> bool:
    return word.startswith("--") or (word.startswith("-") and word[1:2].isalpha())


def _add(flags: dict[str, Any], name: str, key: str, values: list[str], kind: Any, facts: EngineFacts) -> None:
    many = isinstance(kind, dict) and len(values) != 1
    value: Any = values if many else values[0] if values else True
    if "." not in key and not name.startswith("no-"):
        flags[name] = typed(value, facts.flags.get(name))
        return
    for name, flag in read_flags({key.lstrip("-"): value}, (), facts).items():
        old = flags.get(name)
        dotted = "." in key and isinstance(flag.value, dict)
        flags[name] = deep_merge(old, flag.value) if dotted and isinstance(old, dict) else flag.value
