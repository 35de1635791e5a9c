"""A loader for YAML that other tools wrote, of any size: numbers cost no more than they are long."""

from __future__ import annotations

from typing import Any

import yaml

LONGEST_NUMBER = 400
"""Characters of a number. PyYAML takes the square of its length for one of sixties (1:1:1…)."""
_Base: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class ForeignLoader(_Base):  # type: ignore[misc]
    """PyYAML's safe loader, which reads a number of more than LONGEST_NUMBER characters as text."""

    def construct_yaml_int(self, node: Any) -> Any:
        """A whole number, or its text."""
        return super().construct_yaml_int(node) if len(node.value) <= LONGEST_NUMBER else node.value


ForeignLoader.add_constructor("tag:yaml.org,2002:int", ForeignLoader.construct_yaml_int)
