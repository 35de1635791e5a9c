"""stormc status: show what runs of an app, and why the rest does not."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from stormc.commands.connect import add_connection, connect
from stormc.commands.speech import say, translated
from stormc.failure import Failure
from stormc.phrase import phrase
from stormc.report.escape import raw

if TYPE_CHECKING:
    from stormc.cluster.connection import Cluster
    from stormc.cluster.status import AppStatus

POLL_SECONDS = 5.0


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("app", nargs="?", metavar="APP", help="an app: my-test, or its directory and name: a3/my-test")
    parser.add_argument("--all", action="store_true", help="every app that stormc deployed")
    parser.add_argument("-n", "--namespace", metavar="NS", help="where to look (the rendered app's, else default)")
    parser.add_argument("--rendered", type=Path, default=Path("rendered"), metavar="DIR", help="default: rendered")
    parser.add_argument("--watch", action="store_true", help="print again whenever something changes, until Ctrl-C")
    parser.add_argument("--format", choices=("text", "json"), default="text", help="how to print (text)")
    add_connection(parser)


def run(options: argparse.Namespace) -> int:
    """Prints; 0 when every app is ready and as rendered, else 1. Raises Failure for an app that nowhere exists."""
    from stormc.cluster.status_report import as_json, as_text

    if bool(options.app) == options.all:
        raise Failure(phrase("status takes the name of an app, or --all"))
    cluster = connect(options)
    before = None
    while True:
        apps = _look(options, cluster)
        shown = as_json(apps) if options.format == "json" else "\n".join(as_text(app, translated) for app in apps)
        if shown != before:
            print(shown, file=raw(sys.stdout) if options.format == "json" else sys.stdout, flush=True)
        if not options.watch:
            if not apps:
                say(phrase("no app of stormc was found"), error=True)
            return 0 if all(app.ready and not app.drift for app in apps) else 1
        before = shown
        time.sleep(POLL_SECONDS)


def _look(options: argparse.Namespace, cluster: Cluster) -> list[AppStatus]:
    from datetime import UTC, datetime

    from stormc.cluster.drift import drift
    from stormc.cluster.kinds import MANAGED_BY, STORM_SERVICE
    from stormc.cluster.rendered import choose_app, only_app, rendered_apps
    from stormc.cluster.status import app_status

    rendered = rendered_apps(options.rendered)
    if options.all:
        services = cluster.find(STORM_SERVICE, options.namespace, {MANAGED_BY: "stormc"}) or []
        names = [(item["metadata"]["namespace"], item["metadata"]["name"]) for item in services]
        apps = [(ns, app, only_app(options.rendered, rendered.get((ns, app), {}))) for ns, app in names]
    else:
        apps = [choose_app(options.rendered, rendered, options.app, options.namespace)]
    return [
        app_status(cluster, ns, app, drift(cluster, ns, manifests), datetime.now(UTC)) for ns, app, manifests in apps
    ]
