"""The stormc command: finds the verb, runs it, and turns what cannot go on into one line and an exit code."""

from __future__ import annotations

import argparse
import gc
import os
import sys
from contextlib import suppress
from importlib import import_module
from types import ModuleType
from typing import NoReturn

from stormc import __version__
from stormc.failure import Failure

# The modules of compiler/commands and what --help says of them.
VERBS = {
    "init": "write a first valid spec",
    "render": "compile specs into manifests",
    "validate": "check specs, write nothing",
    "fmt": "bring specs into canonical form",
    "import": "turn what runs today into specs",
    "promote": "copy an app's tunable fields from one directory of specs to another",
    "rule": "explain one finding id",
    "rules": "list all finding ids",
    "profiles": "list hardware profiles, or show one",
    "run-local": "run a rendered app on this machine",
    "preflight": "check that a cluster has what apps need",
    "deploy": "apply rendered apps to a cluster",
    "status": "show what runs of an app",
    "delete": "take an app off a cluster",
    "compat": "the command lines of k8s-deploy-tool",
    "completion": "print a shell completion script",
}

CLEAN, FINDINGS, USAGE = 0, 1, 2


def command(verb: str) -> ModuleType:
    """The module of a verb; importing it is what a command costs."""
    return import_module(f"stormc.commands.{verb.replace('-', '_')}")


def parser(*loaded: str) -> argparse.ArgumentParser:
    """The command line parser; only the loaded verbs have arguments, because each costs the import of its module."""
    top = argparse.ArgumentParser(
        prog="stormc", description="Compiles app specs into StormService manifests for Ascend NPUs."
    )
    top.add_argument("--version", action="version", version=f"stormc {__version__}")
    verbs = top.add_subparsers(dest="verb", metavar="VERB", required=True)
    for name, text in VERBS.items():
        if name in loaded:
            module = command(name)
            sub = verbs.add_parser(name, help=text, description=(module.__doc__ or "").split(": ", 1)[-1])
            module.arguments(sub)
        elif loaded:
            verbs.choices[name] = top  # a name to offer and to complain about, without the cost of a parser
        else:
            verbs.add_parser(name, help=text)
    return top


def main(argv: list[str] | None = None) -> int:
    """Runs one command and returns its exit code: 0 clean, 1 findings or drift, 2 usage or internal error."""
    gc.set_threshold(100_000)  # commands make few cycles; the usual 700 costs a tenth of the start
    arguments = sys.argv[1:] if argv is None else argv
    verb = next((a for a in arguments if not a.startswith("-")), None)
    options = parser(*[verb] if verb in VERBS else []).parse_args(arguments)
    try:
        code: int = command(options.verb).run(options)
        sys.stdout.flush()
        return code
    except BrokenPipeError:
        # The reader has seen enough, as with `stormc rules | head`; the interpreter must not complain at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return CLEAN
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return USAGE
    except Failure as failure:
        print(f"stormc: {failure}", file=sys.stderr)
        return USAGE
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""  # a full disk names no file
        print(f"stormc: {where}{error.strerror}", file=sys.stderr)
        return USAGE


def script() -> NoReturn:
    """What the process runs: `main`, and then no tidying up of memory that the system takes back anyway.

    An eighth of the time of a short command, as mypy found too (mypy/util.py, hard_exit).
    """
    code = main()
    with suppress(OSError):
        sys.stderr.flush()
    os._exit(code)


if __name__ == "__main__":
    script()
