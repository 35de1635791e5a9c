"""The arguments that lead to a cluster, the same for every verb that needs one."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from stormc.cluster.connection import Cluster


def add_connection(parser: argparse.ArgumentParser) -> None:
    """Adds --kubeconfig and --context."""
    parser.add_argument("-k", "--kubeconfig", type=Path, metavar="FILE", help="as kubectl: $KUBECONFIG, ~/.kube/config")
    parser.add_argument("--context", metavar="NAME", help="a context of the kubeconfig (its current one)")


def connect(options: argparse.Namespace) -> Cluster:
    """The cluster of the options. Raises Failure without a client or a kubeconfig."""
    from stormc.cluster.connection import Cluster

    return Cluster(options.kubeconfig, options.context)
