"""A shell script that sets variables and runs one program, as the words of the program and the variables.

Such scripts are what people wrap `vllm serve` in. One that does more is a program of its own.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping, Sequence

from stormc.facts.pods import SHELLS
from stormc.record import NamedTuple

_ASSIGNMENT = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)=(.*)", re.DOTALL)
_VARIABLE = re.compile(r"\$(?:\{([A-Za-z_][A-Za-z0-9_]*)\}|([A-Za-z_][A-Za-z0-9_]*))")
_SEPARATORS = {"\n", ";", "&&"}
_SETTINGS = ("set", "ulimit", "umask")
"""Commands that change how the shell itself works."""


class Script(NamedTuple):
    """The program that a script runs in the end, and the variables that it sets before."""

    words: tuple[str, ...]
    variables: Mapping[str, str]


def read_script(words: Sequence[str], env: Mapping[str, str]) -> Script | None:
    """What a command line runs, by itself or as the last command of a shell; None for a script that does more.

    Variables whose value is known are filled in; the others keep their `$NAME`.
    """
    if not words or words[0].rpartition("/")[2] not in SHELLS:
        return Script(tuple(words), {})
    if len(words) != 3 or words[1] not in ("-c", "-lc", "-ec"):
        return None
    try:
        statements = list(_statements(words[2]))
    except ValueError:
        return None
    variables: dict[str, str] = {}
    for statement in statements[:-1]:
        if statement[0] in _SETTINGS or _sources_set_env(statement):
            continue
        assigned = _assigned(statement[1:] if statement[0] == "export" else statement)
        if assigned is None:
            return None
        for name, value in assigned:
            variables[name] = filled(value, {**env, **variables}, name)
    return _last(statements[-1], variables, env) if statements else None


def filled(text: str, known: Mapping[str, str], without: str = "") -> str:
    """The text with the variables whose value is known; one may be left as it is."""

    def value(match: re.Match[str]) -> str:
        name = match[1] or match[2]
        return known[name] if name in known and name != without else match[0]

    return _VARIABLE.sub(value, text)


def _statements(script: str) -> Iterator[list[str]]:
    """The commands of a script, word by word. Raises ValueError for pipes, redirections and unclosed quotes."""
    plain = re.sub(r"(?m)^[ \t]*#.*$", "", script).replace("\\\n", " ")
    lexer = shlex.shlex(plain, posix=True, punctuation_chars=";&|<>()`\n")
    lexer.whitespace, lexer.whitespace_split, lexer.commenters = " \t\r", True, ""
    words: list[str] = []
    for word in lexer:
        parts = re.findall(r"&&|[;&|<>()`\n]", word) if set(word) <= set(";&|<>()`\n") and word else []
        if not parts:
            words.append(word)
            continue
        if not set(parts) <= _SEPARATORS:
            raise ValueError(word)
        if words:
            yield words
        words = []
    if words:
        yield words


def _sources_set_env(statement: Sequence[str]) -> bool:
    """Whether it reads the paths of CANN or of a library beside it, which stormc's launcher looks for by itself."""
    return len(statement) in (2, 3) and statement[0] in ("source", ".") and statement[1].endswith("/set_env.sh")


def _assigned(words: Sequence[str]) -> list[tuple[str, str]] | None:
    matches = [_ASSIGNMENT.fullmatch(word) for word in words]
    return [(match[1], match[2]) for match in matches if match] if all(matches) else None


def _last(words: list[str], variables: dict[str, str], env: Mapping[str, str]) -> Script:
    """The program in the end, with the variables in front of it."""
    rest = list(words)
    while rest and (match := _ASSIGNMENT.fullmatch(rest[0])):
        variables[match[1]] = filled(match[2], {**env, **variables}, match[1])
        del rest[0]
    rest = rest[1:] if rest[:1] == ["exec"] else rest
    return Script(tuple(filled(word, {**env, **variables}) for word in rest), variables)
