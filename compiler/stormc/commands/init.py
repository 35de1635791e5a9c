"""stormc init: write a first valid spec, or a repository around it."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from pathlib import Path

from stormc import __version__
from stormc.commands.findings import print_findings
from stormc.commands.speech import say
from stormc.facts import limits
from stormc.failure import Failure
from stormc.finding import has_errors
from stormc.phrase import phrase

FIRST_APP, FIRST_HARDWARE = "chat", "atlas-900-a3-superpod"


def arguments(parser: argparse.ArgumentParser) -> None:
    """What to write, and where."""
    parser.add_argument("name", nargs="?", metavar="[DIR/]NAME", help="name of the app, with its directory below specs")
    parser.add_argument("--hardware", metavar="PROFILE", help="see stormc profiles")
    parser.add_argument("--namespace", metavar="NS", help="namespace (default: the platform's)")
    parser.add_argument("--model-path", metavar="PATH", help="directory of the weights (/mnt/models/NAME)")
    parser.add_argument("--image", metavar="IMAGE", help="engine image with a pinned tag")
    parser.add_argument("--specs", type=Path, default=Path("specs"), metavar="DIR", help="where the specs are (specs)")
    parser.add_argument("--repo", type=Path, metavar="DIR", help="write a whole repository into DIR: specs, hooks, CI")
    parser.add_argument("--ci", choices=("github", "gitlab"), default="github", help="CI of the repository (github)")
    parser.add_argument(
        "--from",
        dest="origin",
        metavar="REQUIREMENT",
        help="what pip installs stormc from, in its CI (where this one is from)",
    )


def run(options: argparse.Namespace) -> int:
    """Writes what is asked for, if it is valid; never over another file. 1 with findings, which are printed."""
    if options.repo is not None:
        return _repository(options)
    if not options.name or not options.hardware:
        raise Failure(phrase("init needs a NAME and --hardware, or --repo DIR; stormc profiles lists the hardware"))
    return _app(options, options.specs, options.name, options.hardware)


def _app(options: argparse.Namespace, specs: Path, name: str, hardware: str) -> int:
    from stormc.actions import start

    path, text, findings = start(
        specs, name, hardware, namespace=options.namespace, model_path=options.model_path, image=options.image
    )
    if has_errors(findings):
        print_findings(findings, 1, "text", sys.stderr)
        say(phrase("nothing was written"), error=True)
        return 1
    _write({path: text})
    say(phrase("wrote {path}; next: stormc render", path=path), error=True)
    return 0


def _repository(options: argparse.Namespace) -> int:
    from stormc.repository.profiles import builtin_names
    from stormc.text.new_repository import repository_files, requirement

    name = options.name or FIRST_APP
    major, minor = __version__.split(".")[:2]
    files = repository_files(
        app=name.rpartition("/")[2],
        ci=options.ci,
        requirement=options.origin or requirement(_direct_url(), __version__),
        pin=f">={major}.{minor},<{major}.{int(minor) + 1}",
        mindcluster=limits.MINDCLUSTER_RELEASES[0],
        aibrix=limits.AIBRIX_RELEASES[0],
        profiles=builtin_names(),
    )
    _write({options.repo / path: text for path, text in files.items()})
    place = name if "/" in name else f"staging/{name}"
    code = _app(options, options.repo / "specs", place, options.hardware or FIRST_HARDWARE)
    if code == 0:
        say(phrase("{repo} is a repository of specs; its README.md has the next steps", repo=options.repo), error=True)
    return code


def _direct_url() -> str:
    """What pip noted of the place that this stormc came from (direct_url.json); empty for an index or a checkout."""
    from importlib.metadata import PackageNotFoundError, distribution

    try:
        return distribution("stormc").read_text("direct_url.json") or ""
    except (PackageNotFoundError, OSError):
        return ""


def _write(files: Mapping[Path, str]) -> None:
    """All files, or none where one exists already or a link leads elsewhere."""
    from stormc.text.rewrite import refuse_links

    for path in files:
        if path.exists():
            raise Failure(phrase("{path} exists already", path=path))
        refuse_links(path)
    for path, text in files.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
