"""The stand-in for the e-mail package is gone once jsonschema-rs is loaded, and the real one works."""

from __future__ import annotations

import subprocess
import sys

import pytest

HOLDS = "from stormc.emit.rust_schemas import jsonschema_rs; assert jsonschema_rs.is_valid({'type': 'string'}, '')"
EMAIL = "import email.utils; assert email.utils.parsedate_to_datetime('Mon, 20 Nov 1995 19:12:08 -0500').year == 1995"


@pytest.mark.parametrize("program", [f"{HOLDS}; {EMAIL}", f"{EMAIL}; {HOLDS}; {EMAIL}"])
def test_the_real_package_is_there_afterwards(program: str) -> None:
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_it_is_not_loaded_on_the_way() -> None:
    program = f"{HOLDS}; import sys; print('email.utils' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], capture_output=True, text=True).stdout == "False\n"
