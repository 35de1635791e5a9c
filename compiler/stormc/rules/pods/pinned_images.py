"""An image has a tag other than latest, or a digest.

What `latest` names changes without a change in Git: after a fault one pod comes back with another vLLM than its
peers, whose KV transfer or communication group it then cannot join.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from stormc.finding import Path
from stormc.phrase import phrase
from stormc.rules.rule import Example, Rule, Subject, Violation
from stormc.rules.storm_service import StormService


def check(service: StormService) -> Iterator[Violation]:
    places: dict[str, list[Path]] = defaultdict(list)
    for template in service.templates:
        for container in template.containers:
            image = container.get("image", "")
            if "@" not in image and image.rpartition("/")[2].partition(":")[2] in ("", "latest"):
                steps = ("containers", (container["name"],), "image")
                places[image].append(service.wrote_pod(template.role, steps, (template.role, "image")))
    for image, (path, *others) in places.items():
        shared = others and path[0] != "overrides"
        yield Violation(
            ("image",) if shared else path,
            phrase("image {image} is not pinned", image=image),
            phrase("name a release or a digest"),
        )


RULE = Rule(
    "W060", __doc__, check,
    source="Kubernetes docs, images: tags other than latest for what runs in production",
    bad=(
        Example("""
            image: vllm-ascend:latest
            """, at="image"),
        Example("""
            image: registry.example.com:5000/vllm-ascend
            """, at="image"),
        Example("""
            prefill:
              image: vllm-ascend
            """, at="prefill.image"),
        Example(at="template.spec.containers[0].image", role="decode", template="""
            spec:
              containers:
              - name: side
                image: side
            """),
    ),
    instead=(
        Example("""
            image: registry.example.com:5000/vllm-ascend:v0.12.0
            """),
    ),
    good=(
        Example("""
            image: vllm-ascend@sha256:4355a46b19d348dc2f57c046f8ef63d4538ebb936000f3c9ee954a27460dd865
            """),
    ),
    subject=Subject.MANIFESTS,
)  # fmt: skip
