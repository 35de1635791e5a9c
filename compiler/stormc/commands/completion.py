"""stormc completion: a completion script for bash, zsh or fish."""

from __future__ import annotations

import argparse
from shlex import quote

_BASH = """\
_stormc() {{
  local cur=${{COMP_WORDS[COMP_CWORD]}} verb=${{COMP_WORDS[1]}}
  if [ "$COMP_CWORD" -eq 1 ]; then
    COMPREPLY=($(compgen -W "{verbs} --help --version" -- "$cur"))
    return
  fi
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
  case "$words[2]" in
{cases}
  esac
}}
compdef _stormc stormc
"""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of the verb."""
    parser.add_argument("shell", choices=("bash", "zsh", "fish"), help="the shell that reads the script")


def run(options: argparse.Namespace) -> int:
    """Prints the script; its words are read off the parser, so they cannot differ from what the commands take."""
    print({"bash": bash, "zsh": zsh, "fish": fish}[options.shell](), end="")
    return 0


def _verbs() -> dict[str, tuple[str, list[str]]]:
    """Help text and flags of every verb."""
    from stormc.__main__ import VERBS, parser

    action = next(a for a in parser(*VERBS)._actions if isinstance(a, argparse._SubParsersAction))
    return {
        name: (VERBS[name], sorted(flag for a in sub._actions for flag in a.option_strings))
        for name, sub in action.choices.items()
    }


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
    cases = []
    for verb, (_, flags) in _verbs().items():
        words = _words(verb)
        found = f'$(compgen -W "{" ".join(words)}" -- "$cur")' if words else '$(compgen -f -- "$cur")'
        split = "" if words else "local IFS=$'\\n'; "  # a file's name may hold blanks
        cases.append(_BASH_CASE.format(verb=verb, flags=" ".join(flags), split=split, words=found))
    return _BASH.format(verbs=" ".join(_verbs()), cases="\n".join(cases))


def zsh() -> str:
    """The script for zsh."""
    verbs = " ".join(quote(f"{verb}:{text}") for verb, (text, _) in _verbs().items())
    cases = []
    for verb, (_, flags) in _verbs().items():
        words = _words(verb)
        rest = f"_values {verb} {' '.join(words)}" if words else "_files"
        cases.append(
            f"    {verb}) if [[ $words[CURRENT] == -* ]]; then compadd -- {' '.join(flags)}; else {rest}; fi ;;"
        )
    return _ZSH.format(verbs=verbs, cases="\n".join(cases))


def fish() -> str:
    """The script for fish."""
    lines = ["complete -c stormc -e"]
    for verb, (text, flags) in _verbs().items():
        lines.append(f"complete -c stormc -n __fish_use_subcommand -f -a {verb} -d {quote(text)}")
        seen = f"'__fish_seen_subcommand_from {verb}'"
        for flag in flags:
            name = flag.lstrip("-")
            lines.append(f"complete -c stormc -n {seen} {'-l' if flag.startswith('--') else '-s'} {name}")
        words = _words(verb)
        if words:
            lines.append(f"complete -c stormc -n {seen} -f -a '{' '.join(words)}'")
    return "\n".join(lines) + "\n"
