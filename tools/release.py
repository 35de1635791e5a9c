"""What a release needs that is not built: its notes, out of CHANGELOG.md, and the list of what is in it (CycloneDX).

`python -m tools.release notes v0.2.0` prints the section of that version, and fails where the tag, the version of the
sources and the changelog do not agree. `python -m tools.release sbom` prints the components that the image holds: what
.ci/requirements.txt pins.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

from stormc import __version__
from stormc.failure import Failure
from stormc.phrase import phrase

ROOT = Path(__file__).parent.parent
UNRELEASED = "not released"
_PIN = re.compile(r"^(?P<name>[A-Za-z0-9._-]+)==(?P<version>[^ \\;]+)", re.M)
_HASH = re.compile(r"--hash=sha256:([0-9a-f]{64})")


def notes(tag: str, changelog: str, version: str = __version__) -> str:
    """The entries of a version. Raises Failure where it is not the one of the sources, or is not released yet."""
    if tag != f"v{version}":
        raise Failure(phrase("tag {tag} is not that of the sources: v{version}", tag=tag, version=version))
    title, _, rest = changelog.partition(f"\n## {version}")[2].partition("\n")
    if not rest:
        raise Failure(phrase("CHANGELOG.md has no section {version}", version=version))
    if UNRELEASED in title:
        raise Failure(
            phrase(
                "CHANGELOG.md says that {version} is {unreleased}: write the day there, and tag that commit",
                version=version,
                unreleased=UNRELEASED,
            )
        )
    return rest.partition("\n## ")[0].strip() + "\n"


def sbom(requirements: str, version: str = __version__) -> dict[str, Any]:
    """A CycloneDX document: stormc, and every pinned package with the hashes of its files."""
    pins = list(_PIN.finditer(requirements))
    ends = [*(pin.start() for pin in pins[1:]), len(requirements)]
    components = [
        {
            "type": "library", "name": pin["name"], "version": pin["version"],
            "purl": f"pkg:pypi/{pin['name'].lower()}@{pin['version']}",
            "bom-ref": f"pkg:pypi/{pin['name'].lower()}@{pin['version']}",
            "properties": [
                {"name": "stormc:sha256", "value": sha256} for sha256 in _HASH.findall(requirements[pin.start() : end])
            ],
        }
        for pin, end in zip(pins, ends, strict=True)
    ]  # fmt: skip
    application = {"type": "application", "name": "stormc", "version": version, "bom-ref": f"stormc@{version}"}
    return {
        "bomFormat": "CycloneDX", "specVersion": "1.5", "version": 1,
        "metadata": {"component": application}, "components": components,
        "dependencies": [{"ref": f"stormc@{version}", "dependsOn": [one["bom-ref"] for one in components]}],
    }  # fmt: skip


def main(words: list[str]) -> int:
    """Prints what is asked for; 1 where a release must not be."""
    try:
        if words[:1] == ["notes"] and len(words) == 2:
            print(notes(words[1], (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")), end="")
        elif words == ["sbom"]:
            print(json.dumps(sbom((ROOT / ".ci/requirements.txt").read_text(encoding="utf-8")), indent=2))
        else:
            raise Failure(phrase("usage: python -m tools.release notes TAG | sbom"))
    except Failure as failure:
        print(failure, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
