"""The stormc command: finds the verb, runs it, and turns what cannot go on into one line and an exit code."""

from __future__ import annotations

import argparse
import os
import sys
from importlib import import_module
from io import TextIOWrapper
from types import ModuleType
from typing import NoReturn

from stormc import __version__
from stormc.commands.columns import Formatter
from stormc.commands.root import enter
from stormc.commands.speech import translated
from stormc.failure import Failure
from stormc.finding import closest, did_you_mean
from stormc.phrase import phrase, with_hint
from stormc.report.escape import escaped_streams, one_line

# The modules of compiler/commands and what --help says of them.
VERBS = {
    "init": "write a first valid spec",
    "render": "compile specs into manifests",
    "validate": "check specs, write nothing",
    "diff": "what a change does to running pods",
    "explain": "where a rendered value comes from",
    "capacity": "what all apps take of the declared nodes",
    "what-if": "what one fault does to an app",
    "fmt": "bring specs into canonical form",
    "import": "turn what runs today into specs",
    "promote": "copy an app's tunable fields from one directory of specs to another",
    "rule": "explain one finding id",
    "rules": "list all finding ids",
    "profiles": "list hardware profiles, or show one",
    "engines": "list vllm-ascend releases and what each understands, or show one",
    "run-local": "run a rendered app on this machine",
    "policy": "show what the policies above an app allow",
    "preflight": "check that a cluster has what apps need",
    "deploy": "apply rendered apps to a cluster",
    "status": "show what runs of an app",
    "delete": "take an app off a cluster",
    "krm": "a KRM function for kustomize and kpt: a ResourceList in, manifests out",
    "compat": "the command lines of k8s-deploy-tool",
    "completion": "print a shell completion script",
}

TRACEBACK = "STORMC_TRACEBACK"
"""The environment variable by which an internal error shows its traceback."""

CLEAN, FINDINGS, USAGE, INTERRUPTED = 0, 1, 2, 130


def command(verb: str) -> ModuleType:
    """The module of a verb; importing it is what a command costs."""
    return import_module(f"stormc.commands.{verb.replace('-', '_')}")


def parser(*loaded: str) -> argparse.ArgumentParser:
    """The parser of the whole command line; only the loaded verbs have arguments: each costs its module's import."""
    top = argparse.ArgumentParser(
        prog="stormc", description="Compiles app specs into StormService manifests for Ascend NPUs.",
        formatter_class=Formatter,
    )  # fmt: skip
    top.add_argument("--version", action="version", version=f"stormc {__version__}")
    verbs = top.add_subparsers(dest="verb", metavar="VERB", required=True)
    for name, text in VERBS.items():
        sub = verbs.add_parser(name, help=text, formatter_class=Formatter)
        if name in loaded:
            _fill(sub, name)
    return top


def subparser(verb: str) -> argparse.ArgumentParser:
    """The parser of what follows one verb."""
    sub = argparse.ArgumentParser(prog=f"stormc {verb}", formatter_class=Formatter)
    _fill(sub, verb)
    return sub


def _fill(sub: argparse.ArgumentParser, verb: str) -> None:
    module = command(verb)
    sub.description = (module.__doc__ or "").split(": ", 1)[-1]
    module.arguments(sub)


def main(argv: list[str] | None = None) -> int:
    """Runs one command; its exit code: 0 clean, 1 findings or drift, 2 usage or internal error, 130 interrupted."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a terminal of few letters must not end a command
    with escaped_streams():
        return _caught(sys.argv[1:] if argv is None else argv)


def _caught(arguments: list[str]) -> int:
    """Runs one command; whatever it raises is one line. Its exit code is that of `main`."""
    try:
        code = _run(arguments)
        sys.stdout.flush()
        return code
    except BrokenPipeError:
        # The reader has seen enough, as with `stormc rules | head`; the interpreter must not complain at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return CLEAN
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return INTERRUPTED
    except Failure as failure:
        print(f"stormc: {one_line(translated(failure.message))}", file=sys.stderr)
        return USAGE
    except OSError as error:
        file = error.filename2 or error.filename  # of two, the first is our own copy of what is put in place
        where = f"{file}: " if file else ""  # a full disk names no file
        print(f"stormc: {one_line(where)}{error.strerror}", file=sys.stderr)
        return USAGE
    except Exception as error:
        if os.environ.get(TRACEBACK):
            raise
        print(f"stormc: {_internal(error)}", file=sys.stderr)
        return USAGE


def _internal(error: Exception) -> str:
    """An error of stormc itself, as a line that says where it happened."""
    at = error.__traceback__
    while at is not None and at.tb_next is not None:
        at = at.tb_next
    place = f"{os.path.basename(at.tb_frame.f_code.co_filename)}:{at.tb_lineno}" if at else "nowhere"
    return f"internal error, please report it: {type(error).__name__} at {place} (with {TRACEBACK}=1: the traceback)"


def _run(arguments: list[str]) -> int:
    """Finds the verb among the arguments and runs it."""
    verb = next((a for a in arguments if not a.startswith("-")), None)
    before = arguments[: arguments.index(verb)] if verb else arguments
    wants_help = "-h" in before or "--help" in before  # behind the verb argparse sees to it
    if verb == "help":
        verb, wants_help = next((a for a in arguments if a in VERBS), None), True
    if verb == "version" or (verb is None and "--version" in arguments):
        print(f"stormc {__version__}")
        return CLEAN
    if verb is None and (wants_help or not arguments):
        parser().print_help()
        return CLEAN
    if verb not in VERBS:
        _unknown(verb or arguments[0])
    chosen = subparser(verb)
    if wants_help:
        chosen.print_help()
        return CLEAN
    at = arguments.index(verb)
    options, left = chosen.parse_known_args([*arguments[:at], *arguments[at + 1 :]])
    if left:
        _unknown_option(verb, left[0], chosen)
    enter(options, chosen)
    code: int = command(verb).run(options)
    return code


def _unknown(word: str) -> NoReturn:
    unknown = phrase("no option {word}", word=word) if word.startswith("-") else phrase("no command {word}", word=word)
    raise Failure(with_hint(unknown, did_you_mean(word, VERBS) or phrase("see: stormc --help")))


def _unknown_option(verb: str, word: str, chosen: argparse.ArgumentParser) -> NoReturn:
    known = [option for action in chosen._actions for option in action.option_strings]
    meant = closest(word.partition("=")[0], known) if word.startswith("-") else None
    if meant is None:
        chosen.error(f"unrecognized arguments: {word}")
    raise Failure(
        phrase("stormc {verb} has no option {word}; did you mean {meant}?", verb=verb, word=word, meant=meant)
    )


if __name__ == "__main__":
    sys.exit(main())
