"""What stormc can do, as a library: values in, values out; nothing is printed.

`from stormc.actions import render`. A module is imported when its function is first asked for. docs/library.md has
the list with examples.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from stormc.actions.comparing import diff as diff
    from stormc.actions.comparing import diff_of_compilers as diff_of_compilers
    from stormc.actions.explaining import explain_app as explain_app
    from stormc.actions.formatting import format_specs as format_specs
    from stormc.actions.importing import import_file as import_file
    from stormc.actions.krm import transform as transform
    from stormc.actions.policies import export_policy as export_policy
    from stormc.actions.policies import policies_of as policies_of
    from stormc.actions.promoting import promote as promote
    from stormc.actions.rendering import render as render
    from stormc.actions.starting import start as start
    from stormc.actions.streaming import stream as stream
    from stormc.actions.surveying import survey as survey
    from stormc.actions.validating import validate as validate

_MODULES = {
    "diff": "comparing",
    "diff_of_compilers": "comparing",
    "explain_app": "explaining",
    "export_policy": "policies",
    "format_specs": "formatting",
    "import_file": "importing",
    "policies_of": "policies",
    "promote": "promoting",
    "render": "rendering",
    "start": "starting",
    "stream": "streaming",
    "survey": "surveying",
    "transform": "krm",
    "validate": "validating",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__} has no attribute {name}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(_MODULES)
