"""The first spec of an app: valid on its hardware, short, with comments for what comes next."""

from __future__ import annotations

from stormc.model.profile import Profile

IMAGE = "vllm-ascend:v0.12.0rc1"

_SPEC = """\
apiVersion: stormc.dev/v1
kind: App
name: {name}
{namespace}model:
  name: {name}  # what clients send as `model`
  path: {path}  # the weights inside the pod
image: {image}
hardware: {hardware}
prefill:  # one pod on one node: dataParallel × tensorParallel = its {npus} NPUs
  dataParallel: {ranks}
  tensorParallel: {parallel}
{block}decode:  # larger instances: podGroupSize pods share the ranks
  dataParallel: {npus}
{block}"""
_BLOCK = "  spBlock: {npus}  # NPUs of a logical super pod: each pod may be in another super pod\n"


def starter(name: str, profile: Profile, namespace: str | None, model_path: str | None, image: str | None) -> str:
    """The text of a spec whose prefill and decode instances take one whole node of the profile each."""
    parallel = min(8, profile.npus)
    block = _BLOCK.format(npus=profile.npus) if profile.super_pod else ""
    return _SPEC.format(
        name=name, namespace=f"namespace: {namespace}\n" if namespace else "", path=model_path or f"/mnt/models/{name}",
        image=image or IMAGE, hardware=profile.name, npus=profile.npus, ranks=profile.npus // parallel,
        parallel=parallel, block=block,
    )  # fmt: skip
