"""stormc what-if: what one fault does to an app: which pods go, who brings them back, what serves meanwhile."""

from __future__ import annotations

import argparse
from pathlib import Path

from stormc.commands.documents import print_json
from stormc.commands.speech import say, translated
from stormc.failure import Failure
from stormc.phrase import phrase


def arguments(parser: argparse.ArgumentParser) -> None:
    """The app, the fault, and the place."""
    faults = ("chip", "process", "node", "router", "super-pod")
    parser.add_argument("app", metavar="APP", help="NAME, NAMESPACE/NAME or a spec")
    parser.add_argument("--fail", choices=faults, metavar="FAULT", help=f"one of {', '.join(faults)} (default: each)")
    parser.add_argument("--at", metavar="ROLE[/REPLICA[/POD]]", help="only there (default: every role)")
    parser.add_argument("--specs", type=Path, default=Path("specs"), metavar="DIR", help="where the specs are (specs)")
    parser.add_argument("--format", choices=("text", "json"), default="text", help="form of the report (text)")


def run(options: argparse.Namespace) -> int:
    """Prints one line per fault and role, the worst first; 0, however bad it is."""
    from stormc.actions import survey
    from stormc.actions.app_names import is_called, no_app, several_apps
    from stormc.review import capacity, what_if
    from stormc.review.fault_report import as_json, table, text

    surveyed = survey(options.specs)
    named = [app for app in surveyed.apps if is_called(options.app, app.name, app.file)]
    if not named:
        raise no_app(options.app, [(app.name, app.file) for app in surveyed.apps])
    if len(named) > 1:
        raise several_apps(options.app, [app.file for app in named])
    if options.fail == what_if.Fault.SUPER_POD.value and not named[0].super_pod:
        raise Failure(phrase("the hardware of {label} stands in no super pods", label=named[0].label))
    possible = [fault for fault in what_if.Fault if named[0].super_pod or fault is not what_if.Fault.SUPER_POD]
    faults = [what_if.Fault(options.fail)] if options.fail else possible
    consequences = what_if.consequences(named[0].manifests, faults)
    if options.at:
        role = what_if.role_at(named[0].manifests, options.at)
        consequences = [one for one in consequences if one.role in (role, what_if.EVERY_ROLE)]
    free = capacity.free_for(capacity.capacity(surveyed.pools, surveyed.demands), named[0].label)
    if options.format == "json":
        print_json(as_json(named[0].label, consequences, free))
    else:
        single = options.fail or options.at
        at_once = text(named[0].label, consequences, free, options.at or "")
        for line in at_once if single else table(named[0].label, consequences, translated):
            say(line)
    return 0
