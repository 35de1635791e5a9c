"""stormc delete: take an app off a cluster, everything that stormc applied for it."""

from __future__ import annotations

import argparse
import sys
from functools import partial
from typing import TYPE_CHECKING

from stormc.commands.connect import add_connection, connect
from stormc.commands.speech import say, translated
from stormc.failure import Failure
from stormc.phrase import phrase

if TYPE_CHECKING:
    from stormc.cluster.connection import Cluster
    from stormc.cluster.kinds import Kind, Manifest


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("app", metavar="APP", help="the name of an app")
    parser.add_argument("-n", "--namespace", default="default", metavar="NS", help="where it is (default)")
    parser.add_argument("--wait", action="store_true", help="wait until its pods are gone")
    parser.add_argument("--timeout", type=float, default=900.0, metavar="SECONDS", help="end of --wait (900)")
    parser.add_argument("--yes", action="store_true", help="do not ask")
    parser.add_argument("--force", action="store_true", help="also what Argo CD or Flux would bring back")
    add_connection(parser)


def run(options: argparse.Namespace) -> int:
    """Deletes; 1 when nothing was found, when the answer was no, or when something still hangs at the timeout."""
    from stormc.cluster.owner import owned, unneeded_shared

    cluster = connect(options)
    objects = owned(cluster, options.namespace, options.app)
    shared = unneeded_shared(cluster, options.namespace, options.app) if objects else []
    return delete(options, cluster, [*shared, *objects])


def delete(options: argparse.Namespace, cluster: Cluster, objects: list[tuple[Kind, Manifest]]) -> int:
    """Takes off what was found of an app; the exit code. Raises Failure."""
    from stormc.cluster.apply import refuse_gitops
    from stormc.cluster.kinds import title
    from stormc.cluster.removal import remove
    from stormc.cluster.wait import wait_gone

    if not objects:
        say(
            phrase("nothing of {app} in namespace {namespace}", app=options.app, namespace=options.namespace),
            error=True,
        )
        return 1
    refuse_gitops([item for _, item in objects], force=options.force)
    if not options.yes and not _agreed(options, [title(item) for _, item in objects]):
        return 1
    remove(cluster, options.namespace, objects, print)
    if not options.wait:
        return 0
    is_gone = wait_gone(cluster, options.namespace, options.app, options.timeout, partial(say, error=True))
    return 0 if is_gone else 1


def _agreed(options: argparse.Namespace, objects: list[str]) -> bool:
    if not sys.stdin.isatty():
        raise Failure(phrase("delete asks only on a terminal; elsewhere give --yes"))
    print("\n".join(objects), file=sys.stderr)
    print(
        translated(
            phrase(
                "delete these {objects} objects from namespace {namespace}? [y/N] ",
                objects=len(objects),
                namespace=options.namespace,
            )
        ),
        end="",
        file=sys.stderr,
    )
    sys.stderr.flush()
    return sys.stdin.readline().strip().lower() in ("y", "yes")
