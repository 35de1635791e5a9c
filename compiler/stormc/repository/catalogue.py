"""The hardware profiles that a repository offers, as a table for people."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from stormc.load.sources import PROFILES
from stormc.repository.profiles import BUILTIN, load_profile


def profile_files(specs: Path) -> dict[str, Path]:
    """The profile files by name: those that come with stormc and those in specs/profiles."""
    files = {path.stem: path for path in sorted(BUILTIN.glob("*.yaml"))}
    own = specs / PROFILES
    for path in sorted(own.glob("*.y*ml")) if own.is_dir() else ():
        files[path.stem] = path
    return dict(sorted(files.items()))


def profile_table(specs: Path) -> Iterator[str]:
    """One line per profile: name, NPUs per node, first MindCluster release, documented for StormService, product."""
    rows = [("NAME", "NPUS", "SUPER POD", "MINDCLUSTER", "DOCUMENTED", "PRODUCT")]
    for name, path in profile_files(specs).items():
        profile, _ = load_profile(str(path), path.read_bytes())
        if profile is None:
            rows.append((name, "?", "?", "?", "?", "not valid, see stormc validate"))
            continue
        rows.append((
            profile.name, str(profile.npus), "yes" if profile.super_pod else "no", f"{profile.mindcluster}+",
            "yes" if profile.documented else "no", profile.product,
        ))  # fmt: skip
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
