"""Reading a CustomResourceDefinition that the user brings."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from yaml import YAMLError, load_all

from stormc.failure import Failure
from stormc.load.foreign import ForeignLoader
from stormc.phrase import phrase


def load_crd(path: Path) -> Mapping[str, Any]:
    """The CustomResourceDefinition in a file; of several, as AIBrix's releases have, that of StormService.

    Raises Failure for anything else.
    """
    try:
        documents = list(load_all(path.read_bytes(), Loader=ForeignLoader))
    except (YAMLError, ValueError) as error:  # ValueError: a date that there is not
        raise Failure(phrase("{path} is not YAML: {problem}", path=path, problem=str(error).splitlines()[0])) from None
    definitions = [d for d in documents if isinstance(d, dict) and d.get("kind") == "CustomResourceDefinition"]
    if not definitions:
        raise Failure(phrase("{path} holds no CustomResourceDefinition", path=path))
    return next((crd for crd in definitions if _described(crd) == "StormService"), definitions[0])


def _described(crd: Mapping[str, Any]) -> Any:
    spec = crd.get("spec")
    names = spec.get("names") if isinstance(spec, dict) else None
    return names.get("kind") if isinstance(names, dict) else None
