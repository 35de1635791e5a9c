"""The image is made for the hardware.

vllm-ascend has an image per generation: without suffix for A2, -a3, -310p, -a5. The operators of another one do not
load.
"""

from __future__ import annotations

from collections.abc import Iterator

from stormc.facts.scheduling import IMAGE_SUFFIXES
from stormc.model.app import App
from stormc.model.profile import Platform
from stormc.phrase import phrase
from stormc.rules.rule import Example, Rule, Violation

UPSTREAM = "/ascend/vllm-ascend:"
PUBLISHED = ("main", "latest", "nightly", "releases")
"""How tags that vllm-ascend publishes begin, if not with a version; one of another form may be built for any hardware.
"""
SUFFIXES = ("a3", "a5", "310p")


def check(app: App, platform: Platform) -> Iterator[Violation]:
    expected = IMAGE_SUFFIXES.get(app.profile.accelerator_type)
    roles = {role.image: role for role in reversed(app.serving_roles)}
    for role in roles.values():
        tag = role.image.partition("@")[0].rpartition(":")[2]
        suffix = next(filter(None, map(_suffix, tag.lower().split("-")[1:])), "")
        if expected is None or suffix == expected or not (suffix or _published(role.image, tag)):
            continue
        needed = f"-{expected}" if expected else phrase("no suffix")
        yield Violation(
            ("image",) if len(roles) == 1 else (role.name, "image"),
            phrase("image {tag} is not made for {product}", tag=tag, product=app.profile.product),
            phrase("take the tag with {made}", made=needed),
        )


def _published(image: str, tag: str) -> bool:
    """Whether vllm-ascend itself made an image, so that the tag says for which hardware."""
    return UPSTREAM in f"/{image}" and (tag.removeprefix("v")[:1].isdigit() or tag.startswith(PUBLISHED))


def _suffix(part: str) -> str:
    """The suffix that a part of a tag is, "" where it is none; 950 and 950pr are A5."""
    if part.startswith("950") and (part == "950" or part[3:].isalpha()):
        return "a5"
    return part if part in SUFFIXES else ""


RULE = Rule(
    "W713", __doc__, check,
    source="vllm-ascend docs installation.md, Dockerfile, Dockerfile.a3, Dockerfile.310p, Dockerfile.a5",
    bad=(
        Example("""
            hardware: atlas-800i-a2
            image: vllm-ascend:v0.12.0rc1-a3
            decode:
              podGroupSize: 1
              dataParallel: 8
            prefill:
              dataParallel: 1
            """, at="image"),
        Example("""
            image: quay.io/ascend/vllm-ascend:v0.12.0rc1
            """, at="image"),
        Example("""
            image: vllm-ascend:v0.12.0rc1-310p
            """, at="image"),
        Example("""
            decode:
              image: vllm-ascend:v0.12.0rc1-310p
            """, at="decode.image"),
    ),
    instead=(
        Example("""
            image: quay.io/ascend/vllm-ascend:v0.12.0rc1-a3-openeuler
            """),
    ),
    good=(
        Example("""
            image: mirror/vllm-ascend:v0.12.0rc1
            """),
        Example("""
            image: mirror/ascend/vllm-ascend:team-7
            engine:
              version: 0.12
            """),
    ),
)  # fmt: skip
