"""stormc profiles: the hardware profiles that specs may name."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping
from pathlib import Path

from stormc.failure import Failure
from stormc.finding import did_you_mean
from stormc.phrase import aligned, phrase, with_hint


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", nargs="?", metavar="NAME", help="show this profile with its sources")
    parser.add_argument("--specs", type=Path, default=Path("specs"), metavar="DIR", help="where the specs are (specs)")


def run(options: argparse.Namespace) -> int:
    """Prints a table of all profiles, or the file of one. Raises Failure for an unknown name."""
    from stormc.repository.profiles import profile_files

    files = profile_files(options.specs)
    if options.name is None:
        for line in profile_table(files):
            print(line)
        return 0
    if options.name not in files:
        raise Failure(with_hint(phrase("no profile {name}", name=options.name), did_you_mean(options.name, files)))
    print(files[options.name].read_text(encoding="utf-8"), end="")
    return 0


def profile_table(files: Mapping[str, Path]) -> Iterator[str]:
    """One line per profile: name, NPUs per node, first MindCluster release, documented for StormService, product."""
    from stormc.repository.profiles import load_profile

    rows = [("NAME", "NPUS", "SUPER POD", "MINDCLUSTER", "DOCUMENTED", "PRODUCT")]
    for name, path in files.items():
        profile, _ = load_profile(str(path), path.read_bytes())
        if profile is None:
            rows.append((name, "?", "?", "?", "?", "not valid, see stormc validate"))
            continue
        rows.append((
            profile.name, str(profile.npus), "yes" if profile.super_pod else "no", f"{profile.mindcluster}+",
            "yes" if profile.documented else "no", profile.product,
        ))  # fmt: skip
    yield from aligned(rows)
