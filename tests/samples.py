"""A valid app to vary: tests lay a few fields over it and look at what comes out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import yaml

from stormc.compile.compilation import Compilation, Setting, Spec, Stage
from stormc.compile.stages import compile_app
from stormc.finding import Finding
from stormc.load.document import load_document
from stormc.load.engines import read_engines
from stormc.load.sources import Source, Sources
from stormc.model.app import App
from stormc.model.layers import Layer, Layered
from stormc.model.profile import Platform
from stormc.passes.runner import Compiled
from stormc.payload.read import Payload, Program
from stormc.payload.read import read_payload as read_payload
from stormc.repository.profiles import builtin_profile
from stormc.repository.repository import Repository, open_repository

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


def repository(files: Mapping[str, str]) -> Repository:
    """A repository of files given as text, by their path below specs/."""
    sources = tuple(Source(path, f"specs/{path}", text.encode()) for path, text in sorted(files.items()))
    return open_repository(Sources("specs", sources, ()))


def compile_in(where: Repository, source: Source | None = None, payload: Payload | None = None) -> Compilation:
    """What becomes of an app of the repository, the first if none is named."""
    return where.compile(source or where.apps[0], payload or read_payload())


def program(version: str, texts: Mapping[str, str]) -> Program:
    """A program that pods run, given as text by path."""
    return Program(version, lambda: texts)


def outcome(overlay: str = "", platform: str = "") -> Compilation:
    """What becomes of the base app with the overlay, on a platform given as text."""
    files = {"app.yaml": spec_text(overlay)}
    if platform:
        files["platform.yaml"] = f"apiVersion: stormc.dev/v1\nkind: Platform\n{platform}\n"
    return compile_in(repository(files))


def findings(overlay: str = "", platform: str = "") -> list[Finding]:
    """The findings on the base app with the overlay."""
    return list(outcome(overlay, platform).findings)


def app(overlay: str = "", platform: Platform | None = None) -> App:
    """The model of the base app with the overlay."""
    made = compilation(overlay, platform, Stage.APP)
    assert made.app is not None, made.findings
    return made.app


def compiled(overlay: str = "", platform: Platform | None = None) -> Compiled:
    """The manifests of the base app with the overlay, and their origins."""
    made = compilation(overlay, platform, Stage.MANIFESTS)
    assert made.compiled is not None, made.findings
    return made.compiled


def compilation(overlay: str, platform: Platform | None, stop: Stage) -> Compilation:
    """What becomes of the base app with the overlay on a platform given as a value."""
    source = Source("app.yaml", "specs/app.yaml", spec_text(overlay).encode())
    document, problems = load_document(source.file, source.raw)
    assert document is not None, problems
    layered = Layered((Layer(document),), document.data)
    profile = builtin_profile(layered.data["hardware"])
    assert profile is not None
    setting = Setting(platform or Platform(), profile, {profile.name: ()}, read_payload(), read_engines())
    return compile_app(Spec(source, layered, source.file), setting, stop)


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
