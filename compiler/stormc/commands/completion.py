"""stormc completion: a completion script for bash, zsh or fish."""

from __future__ import annotations

import argparse
import re
from pathlib import Path
from shlex import quote

from stormc.commands.root import above

_BASH = """\
_stormc() {{
  local cur=${{COMP_WORDS[COMP_CWORD]}} verb=${{COMP_WORDS[1]}} prev=${{COMP_WORDS[COMP_CWORD-1]}}
  if [ "$COMP_CWORD" -eq 1 ]; then
    COMPREPLY=($(compgen -W "{verbs} --help --version" -- "$cur"))
    return
  fi
  case "$verb $prev" in
{values}
  esac
  case "$verb" in
{cases}
  esac
}}
complete -o filenames -F _stormc stormc
"""

_BASH_CASE = """\
    {verb})
      case "$cur" in
        -*) COMPREPLY=($(compgen -W "{flags}" -- "$cur")) ;;
        *) {split}COMPREPLY=({words}) ;;
      esac ;;"""

_ZSH = """\
#compdef stormc
_stormc() {{
  local -a verbs
  verbs=({verbs})
  if (( CURRENT == 2 )); then
    _describe verb verbs
    return
  fi
  case "$words[2] $words[CURRENT-1]" in
{values}
  esac
  case "$words[2]" in
{cases}
  esac
}}
compdef _stormc stormc
"""


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "shell", choices=("bash", "zsh", "fish", "apps"),
        help="the shell that reads the script; apps lists the names that it completes",
    )  # fmt: skip


def run(options: argparse.Namespace) -> int:
    """Prints the script; its words are read off the parser, so they cannot differ from what the commands take."""
    print({"bash": bash, "zsh": zsh, "fish": fish, "apps": apps}[options.shell](), end="")
    return 0


TAKES_APPS = ("diff", "explain", "what-if", "promote", "deploy", "status", "delete", "run-local")
"""The verbs whose argument is the name of an app."""
_LIST_APPS = "stormc completion apps 2>/dev/null"
_APP_NAME = re.compile(rb"^name\s*:\s*[\"']?([a-z0-9][-a-z0-9]*)", re.M)


def apps() -> str:
    """The names of the apps below specs, a line each; specs are not checked, and not read as YAML."""
    from stormc.load.sources import read_sources

    root = above(Path.cwd())
    if root is None:
        return ""
    files = read_sources(root / "specs").files
    matches = (_APP_NAME.search(file.raw) for file in files if not file.is_platform and not file.is_profile)
    return "".join(f"{name}\n" for name in sorted({match[1].decode() for match in matches if match is not None}))


_Verb = tuple[str, list[str], dict[str, list[str]]]
"""What a verb does, its flags, and the values of those that have a fixed choice."""


def _verbs() -> dict[str, _Verb]:
    from stormc.__main__ import VERBS, parser

    action = next(a for a in parser(*VERBS)._actions if isinstance(a, argparse._SubParsersAction))
    return {
        name: (
            VERBS[name], sorted(flag for a in sub._actions for flag in a.option_strings),
            {flag: words for a in sub._actions for flag in a.option_strings if (words := _choices(a))},
        )
        for name, sub in action.choices.items()
    }  # fmt: skip


def _choices(action: argparse.Action) -> list[str]:
    """The values that a flag may have, empty where they are not known."""
    if "--hardware" in action.option_strings:
        from stormc.repository.profiles import builtin_names

        return builtin_names()
    return [str(choice) for choice in action.choices or ()]


def _words(verb: str) -> list[str] | None:
    """What may follow a verb, or None for files."""
    if verb == "completion":
        return ["bash", "zsh", "fish"]
    if verb == "compat":
        return ["deploy", "status", "delete"]
    if verb == "profiles":
        from stormc.repository.profiles import builtin_names

        return builtin_names()
    if verb == "engines":
        from stormc.load.engines import read_engines

        return list(read_engines().releases)
    if verb == "rule":
        from stormc.reference.ids import ids

        return ids()
    return None


def bash() -> str:
    """The script for bash."""
    cases, values = [], []
    for verb, (_, flags, choices) in _verbs().items():
        words = _words(verb)
        completions = f'$(compgen -W "{" ".join(words)}" -- "$cur")' if words else '$(compgen -f -- "$cur")'
        if verb in TAKES_APPS:
            completions = f'$(compgen -W "$({_LIST_APPS})" -- "$cur") {completions}'
        split = "" if words else "local IFS=$'\\n'; "  # a file's name may hold blanks
        cases.append(_BASH_CASE.format(verb=verb, flags=" ".join(flags), split=split, words=completions))
        for flag, options in choices.items():
            match = f'COMPREPLY=($(compgen -W "{" ".join(options)}" -- "$cur"))'
            values.append(f'    "{verb} {flag}") {match}; return ;;')
    return _BASH.format(verbs=" ".join(_verbs()), cases="\n".join(cases), values="\n".join(values))


def zsh() -> str:
    """The script for zsh."""
    verbs = " ".join(quote(f"{verb}:{text}") for verb, (text, _, _) in _verbs().items())
    cases, values = [], []
    for verb, (_, flags, choices) in _verbs().items():
        words = _words(verb)
        rest = f"_values {verb} {' '.join(words)}" if words else "_files"
        if verb in TAKES_APPS:
            rest = f'compadd -- ${{(f)"$({_LIST_APPS})"}}; _files'
        for flag, options in choices.items():
            values.append(f'    "{verb} {flag}") compadd -- {" ".join(options)}; return ;;')
        cases.append(
            f"    {verb}) if [[ $words[CURRENT] == -* ]]; then compadd -- {' '.join(flags)}; else {rest}; fi ;;"
        )
    return _ZSH.format(verbs=verbs, cases="\n".join(cases), values="\n".join(values))


def fish() -> str:
    """The script for fish."""
    lines = ["complete -c stormc -e"]
    for verb, (text, flags, choices) in _verbs().items():
        lines.append(f"complete -c stormc -n __fish_use_subcommand -f -a {verb} -d {quote(text)}")
        after_verb = f"'__fish_seen_subcommand_from {verb}'"
        for flag in flags:
            name = flag.lstrip("-")
            taken = f" -x -a {quote(' '.join(choices[flag]))}" if flag in choices else ""
            lines.append(f"complete -c stormc -n {after_verb} {'-l' if flag.startswith('--') else '-s'} {name}{taken}")
        words = _words(verb)
        if words:
            lines.append(f"complete -c stormc -n {after_verb} -f -a '{' '.join(words)}'")
        if verb in TAKES_APPS:
            lines.append(f"complete -c stormc -n {after_verb} -a '({_LIST_APPS})'")
    return "\n".join(lines) + "\n"
