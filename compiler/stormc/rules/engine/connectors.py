"""The release registers the KV connector, and the pool's is that of a pool.

A connector that the release does not know ends the engine at its start. Where another module registers it, the
warning can be suppressed. One that carries KV cache between the roles stores nothing for later requests.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from stormc.finding import Path, did_you_mean
from stormc.model.app import App
from stormc.model.kv import CONFIG, inner_connectors
from stormc.model.profile import Platform
from stormc.phrase import phrase
from stormc.rules.rule import Example, Rule, Violation

UPSTREAM = {"MooncakeConnector": "MooncakeConnectorV1", "NixlConnector": "MooncakeConnectorV1"}
"""Names of vLLM itself, whose modules need CUDA, and vllm-ascend's own for the same."""

CAME_WITH = {
    "MooncakeHybridConnector": "0.20",
    "RecomputeCPUOffloadConnector": "0.23",
    "SfaRemoteD2HConnector": "0.26",
    "MooncakeConnectorV2": "0.30",
    "MooncakePullConnector": "0.30",
}
"""The release line that began with a connector; a name that resembles it may have another protocol."""


def check(app: App, platform: Platform) -> Iterator[Violation]:
    facts, reported = app.prefill.facts, set[str]()
    for name, path, config in _named(app):
        if (name in reported and path != POOL) or "kv_connector_module_path" in (*config, *app.kv.extra):
            continue
        reported.add(name)
        if name not in facts.connectors:
            since = CAME_WITH.get(name, "")
            usable = {c for c, protocol in facts.connectors.items() if protocol} - UPSTREAM.keys()
            close = did_you_mean(name, sorted(usable | CAME_WITH.keys()))
            hint = phrase("take an image of release {since} or newer", since=since) if since else close
            yield Violation(
                path,
                phrase("release {release} has no connector {name}", release=facts.release, name=name),
                hint or phrase("stormc engines {release} lists them", release=facts.release),
            )
        elif path == POOL and facts.connectors[name] in ("prefill-first", "decode-first"):
            yield Violation(
                path,
                phrase("{name} carries KV cache between the roles and is no pool", name=name),
                phrase("leave the pool out, or write AscendStoreConnector"),
            )
        elif name in UPSTREAM:
            yield Violation(
                path,
                phrase("{name} is vLLM's own; vllm-ascend's is {upstream}", name=name, upstream=UPSTREAM[name]),
                phrase(
                    "write {upstream}, or name the module in kvTransfer.extra.kv_connector_module_path",
                    upstream=UPSTREAM[name],
                ),
            )


POOL: Path = ("kvTransfer", "pool", "connector")


def _named(app: App) -> Iterator[tuple[str, Path, Mapping[str, Any]]]:
    """Each connector that a spec names: those of pasted configs, of kvTransfer, of its pool."""
    pasted = set[str]()
    for role in app.serving_roles:
        config = role.engine_args.get(CONFIG)
        if isinstance(config, dict):
            for inner in inner_connectors(config):
                if inner.name:
                    pasted.add(inner.name)
                    yield inner.name, (*role.flag_path(CONFIG), *inner.path, "kv_connector"), inner.config
    if app.connector not in pasted:
        yield app.connector, ("kvTransfer", "connector"), {}
    if app.kv.pool:
        yield app.kv.pool["connector"], POOL, {}


RULE = Rule(
    "W727", __doc__, check,
    source="vllm_ascend/distributed/kv_transfer/__init__.py and "
    "vllm/distributed/kv_transfer/kv_connector/factory.py of each release",
    bad=(
        Example("""
            kvTransfer:
              connector: MooncakeHybridConnector
            """, at="kvTransfer.connector"),
        Example("""
            image: vllm-ascend:v0.23.0
            model:
              moe: true
            kvTransfer:
              connector: MooncakeConnector
            """, at="kvTransfer.connector"),
        Example("""
            kvTransfer:
              pool:
                connector: MooncakeConnectorV1
            """, at="kvTransfer.pool.connector"),
    ),
    instead=(
        Example("""
            image: vllm-ascend:v0.23.0
            model:
              moe: true
            kvTransfer:
              connector: MooncakeHybridConnector
              pool:
                connector: AscendStoreConnector
            """),
    ),
)  # fmt: skip
