"""stormc preflight: check that a cluster has what apps need."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from stormc.commands.connect import add_connection, connect
from stormc.failure import Failure
from stormc.phrase import phrase


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--write-platform", type=Path, metavar="FILE", help="write a platform file with what was found")
    add_connection(parser)


def run(options: argparse.Namespace) -> int:
    """Prints one line per check; 1 when something is missing. Raises Failure rather than overwrite a file."""
    from stormc.cluster.preflight import State, checks, observe, platform_file
    from stormc.repository.profiles import builtin_names, builtin_profile
    from stormc.text.rewrite import rewrite

    if options.write_platform and os.path.lexists(options.write_platform):
        raise Failure(
            phrase(
                "{write_platform} exists; name another file, or remove it first", write_platform=options.write_platform
            )
        )
    observed = observe(connect(options))
    results = checks(observed)
    for check in results:
        print(f"{check.state:<8}{check.name}: {check.text}")
    if options.write_platform:
        profiles = filter(None, map(builtin_profile, builtin_names()))
        rewrite(options.write_platform, platform_file(observed, profiles))
    return 1 if any(check.state is State.MISSING for check in results) else 0
