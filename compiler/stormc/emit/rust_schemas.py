"""jsonschema-rs without the package for e-mail, of which it wants one function, to read the day on which it was built.

That package costs as much as Python's own start (`python -m tests.bench_start`). A placeholder stands for it in
`sys.modules` while jsonschema-rs is loaded, and no longer.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType

_EMAIL = "email.utils"


@contextmanager
def _without_email() -> Iterator[None]:
    if _EMAIL in sys.modules:
        yield
        return
    placeholder = sys.modules[_EMAIL] = ModuleType(_EMAIL)
    placeholder.parsedate_to_datetime = str  # type: ignore[attr-defined]
    try:
        yield
    finally:
        del sys.modules[_EMAIL]


with _without_email():
    import jsonschema_rs as jsonschema_rs
