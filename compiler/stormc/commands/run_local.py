"""stormc run-local: run a rendered app on this machine, with the real launcher and proxy and a stand-in for vLLM."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from stormc.facts.limits import AIBRIX_RELEASES
from stormc.failure import Failure
from stormc.phrase import phrase


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("directory", type=Path, metavar="DIR", help="the rendered directory of an app")
    parser.add_argument("--ask", metavar="PROMPT", help="complete one prompt through the routing Service, then end")
    parser.add_argument(
        "--kill", action="append", default=[], type=_kill, metavar="POD@SECONDS",
        help="kill a pod, such as decode-0, so many seconds after all are ready; repeatable",
    )  # fmt: skip
    parser.add_argument(
        "--reschedule", type=float, default=20.0, metavar="SECONDS",
        help="how long a failed pod stays away before it starts anew at another address (20: the proxy isolates it)",
    )  # fmt: skip
    parser.add_argument(
        "--run-commands", action="store_true",
        help="run engine.command, engine.script and other programs of the app without asking: on this machine, as you",
    )  # fmt: skip
    parser.add_argument(
        "--aibrix", default=AIBRIX_RELEASES[0], metavar="RELEASE",
        help=f"whose pods are played: their labels, annotations and order of variables ({AIBRIX_RELEASES[0]})",
    )  # fmt: skip
    parser.add_argument("--state", type=Path, metavar="DIR", help="keep logs and mounted files there")


def _kill(text: str) -> tuple[str, float]:
    pod, _, seconds = text.partition("@")
    try:
        return pod, float(seconds or 5)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not POD@SECONDS") from None


def run(options: argparse.Namespace) -> int:
    """Runs until Ctrl-C, or until the one prompt is answered; 1 when a Service leads nowhere or nothing answers."""
    if sys.platform != "linux":
        raise Failure(phrase("run-local needs Linux, where every address of 127.0.0.0/8 is local"))
    from stormc.load.releases import aibrix
    from stormc.local.session import SessionOptions, run_session

    if options.aibrix not in AIBRIX_RELEASES:
        raise Failure(
            phrase(
                "--aibrix {aibrix} is no release that stormc knows: {aibrix_releases}",
                aibrix=options.aibrix,
                aibrix_releases=", ".join(AIBRIX_RELEASES),
            )
        )
    release = aibrix(options.aibrix)
    session = SessionOptions(options.ask, options.kill, options.reschedule, options.run_commands, release)
    return run_session(options.directory, session, options.state)
