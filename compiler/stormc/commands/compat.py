"""stormc compat: the command lines of MindCluster's k8s-deploy-tool, done by stormc."""

from __future__ import annotations

import argparse
import sys
from importlib import import_module
from pathlib import Path

from stormc.commands.connect import add_connection, connect
from stormc.commands.documents import print_documents
from stormc.commands.findings import print_findings
from stormc.commands.speech import say
from stormc.finding import in_order
from stormc.phrase import phrase

DELETE_SECONDS = "300"
"""How long the tool waits for the pods to go (MindCluster k8s-deploy-tool src/core/job_manager.py)."""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the tool's verbs with the tool's arguments (its main.py), and ours for the connection."""
    verbs = parser.add_subparsers(dest="tool_verb", metavar="VERB", required=True)
    sub = verbs.add_parser("deploy", help="deploy the app of a config")
    sub.add_argument("-c", "--config", type=Path, required=True, metavar="CONFIG", help="the tool's config file")
    sub.add_argument("--dry-run", action="store_true", help="print the manifests, ask no server")
    add_connection(sub)
    for verb, text in (("status", "show what runs of an app"), ("delete", "delete an app and wait for its end")):
        sub = verbs.add_parser(verb, help=text)
        sub.add_argument("-n", "--app-name", required=True, metavar="NAME", help="the name of the app")
        sub.add_argument("-ns", "--namespace", default="default", metavar="NS", help="where it is (default)")
        add_connection(sub)


def run(options: argparse.Namespace) -> int:
    """What `stormc import` and deploy, status, or `delete --yes --wait` do; the tool itself returned 0 on failure."""
    if options.tool_verb == "deploy":
        return _deploy(options)
    words = [options.app_name, "-n", options.namespace]
    if options.tool_verb == "status":
        return int(import_module("stormc.commands.status").run(_options("status", options, words)))
    return _delete(_options("delete", options, [*words, "--yes", "--wait", "--timeout", DELETE_SECONDS]))


def _deploy(options: argparse.Namespace) -> int:
    from stormc.actions.importing import broken, import_file
    from stormc.commands.deploy import deploy
    from stormc.emit.canonical import emit_yaml

    config = options.config
    apps = import_file(Path("specs"), str(config), config.read_bytes())
    for app in apps:
        print_findings(in_order(app.findings), 1, "text", sys.stderr)
    if any(map(broken, apps)):
        say(phrase("nothing was deployed"), error=True)
        return 1
    if options.dry_run:
        print_documents([emit_yaml(manifest) for app in apps for manifest in app.manifests])
        return 0
    return max(deploy(_options("deploy", options, [app.name]), app.manifests) for app in apps)


def _delete(options: argparse.Namespace) -> int:
    from stormc.cluster.owner import of_deploy_tool, owned, unneeded_shared
    from stormc.commands.delete import delete

    cluster = connect(options)
    namespace, app = options.namespace, options.app
    ours = owned(cluster, namespace, app)
    objects = [*unneeded_shared(cluster, namespace, app), *ours] if ours else of_deploy_tool(cluster, namespace, app)
    return delete(options, cluster, objects)


def _options(verb: str, options: argparse.Namespace, words: list[str]) -> argparse.Namespace:
    """The arguments of one of stormc's own verbs."""
    for argument, value in (("--kubeconfig", options.kubeconfig), ("--context", options.context)):
        words += [argument, str(value)] if value else []
    parser = argparse.ArgumentParser(prog=f"stormc {verb}")
    import_module(f"stormc.commands.{verb}").arguments(parser)
    return parser.parse_args(words)
