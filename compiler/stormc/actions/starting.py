"""Start: the first spec of a new app (`stormc init`)."""

from __future__ import annotations

import os
from pathlib import Path

from stormc.failure import Failure
from stormc.finding import Finding, did_you_mean
from stormc.load.sources import Source, Sources, read_sources
from stormc.payload.read import Payload, read_payload
from stormc.phrase import phrase
from stormc.record import NamedTuple
from stormc.repository.profiles import load_profile, profile_files
from stormc.repository.repository import open_repository
from stormc.text.starter import starter

EDITOR_SCHEMA = Path("schema", "app.schema.json")
"""Where a repository keeps the schema for editors, beside its specs."""


class Started(NamedTuple):
    """A spec that is not written yet, and what is wrong with it."""

    path: Path
    text: str
    findings: tuple[Finding, ...]


def start(
    specs: Path,
    name: str,
    hardware: str,
    *,
    namespace: str | None = None,
    model_path: str | None = None,
    image: str | None = None,
    payload: Payload | None = None,
) -> Started:
    """The text of a new app's spec on a hardware profile, compiled where it is to stand. Nothing is written.

    `name` may have a directory in front, as in `staging/chat`. `namespace`, `model_path` and `image` have defaults.
    Raises Failure for an unknown profile, for one with errors, and for a directory outside of `specs`.
    """
    below, _, name = name.removesuffix(".yaml").removeprefix(f"{specs}/").rpartition("/")
    files = profile_files(specs)
    if hardware not in files:
        hint = did_you_mean(hardware, files) or "see: stormc profiles"
        raise Failure(phrase("no profile {hardware}; {hint}", hardware=hardware, hint=hint))
    profile, _ = load_profile(str(files[hardware]), files[hardware].read_bytes())
    if profile is None:
        raise Failure(phrase("{files} is not valid, see: stormc validate", files=files[hardware]))
    path = specs / below / f"{name}.yaml"
    text = starter(name, profile, namespace, model_path, image)
    schema = specs.parent / EDITOR_SCHEMA
    if schema.is_file():
        text = f"# yaml-language-server: $schema={os.path.relpath(schema, path.parent)}\n{text}"
    repository = open_repository(read_sources(specs) if specs.is_dir() else Sources(specs.name, (), ()))
    if ".." in below.split("/") or below.startswith("/"):
        raise Failure(phrase("{path} is not below {specs}", path=path, specs=specs))
    source = Source(f"{below}/{path.name}".lstrip("/"), str(path), text.encode())
    return Started(path, text, repository.compile(source, payload or read_payload()).findings)
