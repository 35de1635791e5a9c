"""The programs that a rendered app runs on this machine besides stormc's launcher and proxy; a person must allow them.

A rendered directory is data of a branch. Its containers name commands, mount programs and set variables by which
programs load code; run-local would run all of them as the user.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from stormc.facts.keys import Directory
from stormc.facts.pods import PROBES
from stormc.failure import Failure
from stormc.finding import shown
from stormc.payload.objects import OURS, shared_names, shared_objects
from stormc.payload.read import read_payload
from stormc.phrase import phrase

Manifest = Mapping[str, Any]

_LAUNCHER = ["python3", f"{Directory.LAUNCHER}/launch.py"]
_PROXY = ["python3", "-m", "stormc_proxy"]
_OWN = Directory.STORMC
_LOADERS = ("LD_", "PYTHON", "BASH_ENV", "ENV", "GCONV_PATH", "GLIBC_TUNABLES")
_HARMLESS = ("PYTHONUNBUFFERED", "PYTHONHASHSEED", "PYTHONDONTWRITEBYTECODE", "PYTHONFAULTHANDLER", "PYTHONPATH")
"""Variables that load nothing, and one that run-local sets itself."""
_HEAD = (
    r"\[ \"\$POD_GROUP_INDEX\" = 0 \] \|\| exit 0; exec 3<>\"/dev/tcp/\$POD_IP/[0-9]+\" && printf [^;|&`$]* >&3 && .*"
)
"""stormc's own probe of the first pod of a group (passes/engine/probes.py)."""


def refuse_traversal(manifests: Sequence[Manifest]) -> None:
    """Raises Failure for mounts, files and names by which a run would write outside of its own directory."""
    for pod in _pods(manifests):
        paths = [str(mount.get("mountPath", "")) for c in _containers(pod) for mount in c.get("volumeMounts") or ()]
        for volume in pod.get("volumes") or ():
            paths += [str(item.get("path", "")) for item in (volume.get("configMap") or {}).get("items") or ()]
        paths += [str(container.get("workingDir", "")) for container in _containers(pod)]
        if wrong := next((path for path in paths if ".." in path.split("/")), None):
            raise Failure(
                phrase("a pod has the path {wrong}, which leads out of the directory of the run", wrong=wrong)
            )
    for manifest in manifests:
        name = str((manifest.get("metadata") or {}).get("name", ""))
        keys = manifest.get("data") or {} if manifest.get("kind") == "ConfigMap" else {}
        names = [name, *keys, *(str(role.get("name", "")) for role in _roles(manifest))]
        if wrong := next((each for each in names if "/" in each or each in ("", ".", "..")), None):
            raise Failure(phrase("{wrong!r} is no name of an object, a role or a file", wrong=wrong))


def foreign_programs(manifests: Sequence[Manifest]) -> list[str]:
    """What would run besides stormc's own programs, a line each; empty for what this stormc has rendered."""
    payload = read_payload()
    own = {
        each["metadata"]["name"]: each["data"]
        for each in shared_objects(payload, "", shared_names(payload, True, True))
    }
    lines = [
        f"{manifest['metadata']['name']}: another program than this stormc's"
        for manifest in manifests
        if manifest.get("kind") == "ConfigMap" and str(manifest["metadata"]["name"]).startswith(OURS)
        and own.get(manifest["metadata"]["name"]) != manifest.get("data")
    ]  # fmt: skip
    for manifest in manifests:
        for role in _roles(manifest):
            pod = (role.get("template") or {}).get("spec") or {}
            lines += [f"{role.get('name')}: {line}" for line in _of_pod(pod)]
    return lines


def _of_pod(pod: Manifest) -> Iterator[str]:
    volumes = {volume.get("name"): volume for volume in pod.get("volumes") or ()}
    for container in _containers(pod):
        command, args = list(container.get("command") or ()), [str(word) for word in container.get("args") or ()]
        launched = (
            command == _LAUNCHER and args[args.index("--") + 1 :][:2] == ["vllm", "serve"] if "--" in args else False
        )
        if not (launched or command == _PROXY) or container.get("workingDir", _OWN) not in (_OWN, "/"):
            yield shown(" ".join([*map(str, command), *args]))
        for mount in container.get("volumeMounts") or ():
            source = (volumes.get(mount.get("name")) or {}).get("configMap") or {}
            if str(mount.get("mountPath", "")).startswith(_OWN) and not str(source.get("name", "")).startswith(OURS):
                yield f"what is mounted on {shown(mount.get('mountPath'))}"
        for entry in container.get("env") or ():
            name = str(entry.get("name"))
            if name.startswith(_LOADERS) and name not in _HARMLESS:
                yield f"what variable {name} loads"
        for probe in PROBES:
            words = ((container.get(probe) or {}).get("exec") or {}).get("command")
            own = words and list(words[:2]) == ["/bin/bash", "-c"] and re.fullmatch(_HEAD, str(words[-1]))
            if words and not own:
                yield f"{probe}: {shown(' '.join(map(str, words)))}"


def _roles(manifest: Manifest) -> list[Manifest]:
    if manifest.get("kind") != "StormService":
        return []
    roles: list[Manifest] = manifest["spec"]["template"]["spec"]["roles"]
    return roles


def _pods(manifests: Sequence[Manifest]) -> Iterator[Manifest]:
    for manifest in manifests:
        for role in _roles(manifest):
            yield (role.get("template") or {}).get("spec") or {}


def _containers(pod: Manifest) -> list[Manifest]:
    return [*(pod.get("initContainers") or ()), *(pod.get("containers") or ())]
