"""ruamel's round trip, set up once: comments, quotes and the order of keys stay."""

from __future__ import annotations

import io
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.representer import RoundTripRepresenter


class Representer(RoundTripRepresenter):
    """As ruamel's, with null spelt out."""


Representer.add_representer(type(None), lambda dumper, _: dumper.represent_scalar("tag:yaml.org,2002:null", "null"))


def round_trip(sequence: int = 4, offset: int = 2) -> YAML:
    """A reader and writer; `sequence` and `offset` are how far lists and their dashes are indented."""
    yaml = YAML()
    yaml.Representer = Representer
    yaml.preserve_quotes = True
    yaml.width = 1 << 20
    yaml.composer.warn_double_anchors = False  # YAML allows a name twice; stderr is for people
    yaml.indent(mapping=2, sequence=sequence, offset=offset)
    return yaml


def dumped(root: Any, yaml: YAML | None = None) -> str:
    """What ruamel read or made, as text."""
    written = io.StringIO()
    (yaml or round_trip()).dump(root, written)
    return written.getvalue()
