"""The files of a new repository of specs, besides its first app."""

from __future__ import annotations

import json
from pathlib import Path

from stormc.model.editor_schema import schemas

TEMPLATES = Path(__file__).with_name("template")
ENVIRONMENTS = ("staging", "production")
CI = {"github": (".github/workflows/stormc.yaml", "github.yaml"), "gitlab": (".gitlab-ci.yml", "gitlab-ci.yaml")}


def requirement(direct_url: str, version: str) -> str:
    """What pip is to install in CI: the address that this stormc was installed from, by its direct_url.json (PEP 610).

    CI cannot reach a path on this machine; then it is the version alone.
    """
    try:
        origin = json.loads(direct_url or "{}")
        url, repository = str(origin.get("url", "")), origin.get("vcs_info")
    except (ValueError, AttributeError):
        url, repository = "", None
    if not url.startswith(("https://", "http://", "ssh://")):
        return f"stormc=={version}"
    if isinstance(repository, dict):
        url = f"{repository.get('vcs', 'git')}+{url}@{repository.get('requested_revision') or repository['commit_id']}"
    return f"stormc @ {url}"


def repository_files(
    *, app: str, ci: str, requirement: str, pin: str, mindcluster: str, aibrix: str, profiles: list[str]
) -> dict[str, str]:
    """The text of every file by its path: platforms of two environments, hooks, CI, schemas for editors, a README.

    `ci` is a key of CI, `requirement` what pip installs there, `pin` a range of stormc's versions; `mindcluster` and
    `aibrix` are releases, `profiles` the names that editors offer for `hardware`.
    """
    place, workflow = CI[ci]
    files = {
        ".gitattributes": _text("gitattributes"),
        ".gitignore": _text("gitignore"),
        ".pre-commit-config.yaml": _text("pre-commit-config.yaml"),
        place: _text(workflow),
        "README.md": _text("README.md").replace("{app}", app),
        "requirements.txt": _text("requirements.txt").format(requirement=requirement),
        "specs/platform.yaml": _text("platform.yaml").format(pin=pin, mindcluster=mindcluster, aibrix=aibrix),
    }
    for environment in ENVIRONMENTS:
        files[f"specs/{environment}/platform.yaml"] = _text("environment.yaml").format(environment=environment)
    return {**files, **{f"schema/{name}": text for name, text in schemas(profiles).items()}}


def _text(name: str) -> str:
    return (TEMPLATES / name).read_text(encoding="utf-8")
