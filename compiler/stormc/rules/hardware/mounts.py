"""The engine container keeps the mounts of device files and of its own /dev/shm.

Without /etc/hccn.conf (on the 950 series, other files) KV transfer does not know the NPUs' addresses, and Ascend Docker
Runtime does not mount it; without /dev/shm the ranks of a pod have 64 MB of shared memory and die under load.
"""

from __future__ import annotations

from collections.abc import Iterator

from stormc.facts.keys import Directory
from stormc.phrase import phrase
from stormc.rules.rule import Example, Rule, Subject, Violation
from stormc.rules.storm_service import StormService


def check(service: StormService) -> Iterator[Violation]:
    for role, template in service.serving:
        for container in template.containers:
            mounts = {mount.get("mountPath") for mount in container.get("volumeMounts") or ()}
            for path in (*(path for path, _ in service.app.profile.device_mounts), Directory.SHM):
                if container["name"] == role.name and path not in mounts:
                    where = service.wrote_pod(role.name, ("containers", (role.name,), "volumeMounts", (path,)),
                                               ("overrides",))  # fmt: skip
                    yield Violation(
                        where,
                        phrase("{role} does not mount {path}", role=role.name, path=path),
                        phrase("leave this mount of stormc's as it is"),
                    )


RULE = Rule(
    "E042", __doc__, check,
    source="ascend-docker-runtime build/scripts/base.list; vllm-ascend P/D guide, docker run",
    bad=(
        Example(at="template.spec.containers[0].volumeMounts", role="decode", template="""
            spec:
              containers:
              - name: decode
                volumeMounts: null
            """),
    ),
    instead=(
        Example(role="decode", template="""
            spec:
              containers:
              - name: decode
                volumeMounts:
                - name: model
                  mountPath: /models
                  readOnly: true
            """),
    ),
    subject=Subject.MANIFESTS,
    only_when_overridden=True,
)  # fmt: skip
