"""stormc compat: the command lines of MindCluster's k8s-deploy-tool, done by stormc."""

from __future__ import annotations

import argparse
from importlib import import_module

DELETE_SECONDS = "300"
"""How long the tool waits for the pods to go (MindCluster k8s-deploy-tool src/core/job_manager.py)."""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the tool's verbs with the tool's arguments, and ours for the connection."""
    from compiler.commands.connect import add_connection

    verbs = parser.add_subparsers(dest="tool_verb", metavar="VERB", required=True)
    for verb, text in (("status", "show what runs of an app"), ("delete", "delete an app and wait for its end")):
        sub = verbs.add_parser(verb, help=text)
        sub.add_argument("-n", "--name", required=True, metavar="NAME", help="the name of the app")
        sub.add_argument("-ns", "--namespace", default="default", metavar="NS", help="where it is (default)")
        add_connection(sub)


def run(options: argparse.Namespace) -> int:
    """What `stormc status` or `stormc delete --yes --wait` does and returns; the tool itself returned 0 on failure."""
    words = [options.name, "-n", options.namespace]
    if options.tool_verb == "delete":
        words += ["--yes", "--wait", "--timeout", DELETE_SECONDS]
    for argument, value in (("--kubeconfig", options.kubeconfig), ("--context", options.context)):
        words += [argument, str(value)] if value else []
    module = import_module(f"compiler.commands.{options.tool_verb}")
    parser = argparse.ArgumentParser(prog=f"stormc {options.tool_verb}")
    module.arguments(parser)
    code: int = module.run(parser.parse_args(words))
    return code
