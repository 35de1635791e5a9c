"""stormc rule: explain one finding id: what it demands, why, with examples and source."""

from __future__ import annotations

import argparse
import os
import re

from stormc.failure import Failure
from stormc.finding import did_you_mean
from stormc.languages import language_of
from stormc.phrase import phrase, with_hint


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("id", metavar="ID", help="an id such as E036, as findings show it")


def run(options: argparse.Namespace) -> int:
    """Prints the explanation. Raises Failure for an unknown id."""
    from stormc.reference.ids import ids
    from stormc.reference.pages import explanation

    id_ = options.id.upper()
    if re.fullmatch(r"[EWI]\d{1,2}", id_):
        id_ = f"{id_[0]}{int(id_[1:]):03d}"
    if id_ not in ids():
        raise Failure(with_hint(phrase("no rule {id}", id=options.id), did_you_mean(id_, ids())))
    for line in explanation(id_, language_of(os.environ)):
        print(line)
    return 0
