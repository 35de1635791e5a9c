"""A valid app to vary: tests lay a few fields over it and look at what comes out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import yaml

from stormc.finding import Finding
from stormc.load.document import load_document
from stormc.load.sources import Source, Sources
from stormc.model.app import App
from stormc.model.build import build_app
from stormc.model.check import check_app
from stormc.model.layers import Layer, Layered
from stormc.model.profile import Platform
from stormc.passes import PIPELINE
from stormc.passes.runner import Compiled, run_pipeline
from stormc.payload.read import read_payload
from stormc.repository.world import Outcome, World, builtin_profile

BASE = """\
apiVersion: stormc.dev/v1
kind: App
name: qwen3-moe
namespace: inference
model:
  name: qwen3-moe
  path: /mnt/models/Qwen3-30B-A3B
image: vllm-ascend:v0.12.0rc1
hardware: atlas-900-a3-superpod
prefill:
  replicas: 2
  dataParallel: 2
  tensorParallel: 8
decode:
  podGroupSize: 2
  dataParallel: 32
"""


def spec_text(overlay: str = "") -> str:
    """The base spec with the overlay's fields merged into it."""
    fields = yaml.safe_load(BASE)
    text: str = yaml.safe_dump(merge(fields, yaml.safe_load(overlay) or {}), sort_keys=False, allow_unicode=True)
    return text


def merge(far: dict[str, Any], near: Mapping[str, Any]) -> dict[str, Any]:
    """The near mapping laid over the far one, key by key."""
    for key, value in near.items():
        if isinstance(value, dict) and isinstance(far.get(key), dict):
            far[key] = merge(dict(far[key]), value)
        else:
            far[key] = value
    return far


def world(files: Mapping[str, str]) -> World:
    """A world of files given as text, by their path below specs/."""
    sources = tuple(Source(path, f"specs/{path}", text.encode()) for path, text in sorted(files.items()))
    return World(Sources("specs", sources, ()))


def outcome(overlay: str = "", platform: str = "") -> Outcome:
    """What becomes of the base app with the overlay, on a platform given as text."""
    files = {"app.yaml": spec_text(overlay)}
    if platform:
        files["platform.yaml"] = f"apiVersion: stormc.dev/v1\nkind: Platform\n{platform}\n"
    made = world(files)
    return made.compile(made.apps[0])


def findings(overlay: str = "", platform: str = "") -> list[Finding]:
    """The findings on the base app with the overlay."""
    return list(outcome(overlay, platform).findings)


def app(overlay: str = "", platform: Platform | None = None) -> App:
    """The model of the base app with the overlay; rules are not applied."""
    document, problems = load_document("specs/app.yaml", spec_text(overlay).encode())
    assert document is not None, problems
    data, problems = check_app(Layered((Layer(document),), document.data))
    assert data is not None, problems
    profile = builtin_profile(data["hardware"])
    assert profile is not None
    return build_app(data, "specs/app.yaml", profile, platform or Platform(), read_payload())


def compiled(overlay: str = "", platform: Platform | None = None) -> Compiled:
    """The manifests of the base app with the overlay, and their origins."""
    where = platform or Platform()
    return run_pipeline(PIPELINE, app(overlay, where), where)


def manifest(made: Compiled, kind: str, name: str) -> Any:
    """One manifest by kind and name."""
    return next(m for m in made.manifests if (m["kind"], m["metadata"]["name"]) == (kind, name))


def storm(overlay: str = "", platform: Platform | None = None) -> Any:
    """The StormService of the base app with the overlay."""
    made = compiled(overlay, platform)
    return next(m for m in made.manifests if m["kind"] == "StormService")


def role(service: Mapping[str, Any], name: str) -> Any:
    """A role of a StormService."""
    return next(r for r in service["spec"]["template"]["spec"]["roles"] if r["name"] == name)


def pod(service: Mapping[str, Any], name: str) -> Any:
    """The pod template of a role."""
    return role(service, name)["template"]


def container(service: Mapping[str, Any], name: str) -> Any:
    """The only container of a role's pods."""
    (only,) = pod(service, name)["spec"]["containers"]
    return only
