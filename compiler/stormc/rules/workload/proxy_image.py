"""With proxy.source: image, the routing image contains the proxy.

Without routing.image the routing pods run the engine's image, in which no stormc_proxy is installed: they crash at
the start, and no client reaches the service.
"""

from __future__ import annotations

from collections.abc import Iterator

from stormc.model.app import App
from stormc.model.profile import Platform
from stormc.phrase import phrase
from stormc.rules.rule import Example, Rule, Violation


def check(app: App, platform: Platform) -> Iterator[Violation]:
    engines = {role.image for role in app.serving_roles}
    if app.proxy_source == "image" and app.routing.image in engines:
        yield Violation(
            ("proxy", "source"),
            phrase("the routing pods run {image}, the engine's image, without the proxy", image=app.routing.image),
            phrase("set routing.image to an image of stormc, or proxy.source: configMap"),
        )


RULE = Rule(
    "W083", __doc__, check,
    source="docs/containers.md: the image of stormc has the proxy",
    bad=(
        Example("""
            proxy:
              source: image
            """, at="proxy.source"),
    ),
    instead=(
        Example("""
            proxy:
              source: image
            routing:
              image: registry.example.com/stormc:0.2.0
            """),
    ),
)  # fmt: skip
