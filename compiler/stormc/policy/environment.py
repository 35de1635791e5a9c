"""What the containers of an app read: Secrets, and variables that hold secrets or load code."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any

from stormc.finding import Path, shown
from stormc.phrase import Phrase, phrase
from stormc.policy.breach import Breach, Case
from stormc.policy.concerns import COMMAND, PLAIN_SECRET, SECRET, SUBSTITUTION
from stormc.policy.pods import Container, Pod, flags_of, volume_field
from stormc.policy.policy import below, matches
from stormc.policy.secrets import holds_password, holds_secret, names_secret
from stormc.targets.programs import PREPEND

PREFIXES = ("LD_", "PYTHON", "PERL5", "BASH_FUNC_", "GIT_SSH")
LOADERS = (
    "PATH", "ENV", "BASH_ENV", "PROMPT_COMMAND", "GCONV_PATH", "GLIBC_TUNABLES", "NODE_OPTIONS", "NODE_PATH", "RUBYOPT",
    "JAVA_TOOL_OPTIONS", "CC", "CXX", "ASCEND_CUSTOM_OPP_PATH", "ASCEND_OPP_PATH", "ASCEND_HOME_PATH",
    "ASCEND_TOOLKIT_HOME", "ASCEND_AICPU_PATH", "VLLM_LOGGING_CONFIG_PATH",
)  # fmt: skip
"""Variables by which programs find or load code, and beginnings of the names of others."""
HARMLESS = (
    "PYTHONUNBUFFERED", "PYTHONHASHSEED", "PYTHONDONTWRITEBYTECODE", "PYTHONFAULTHANDLER", "PYTHONIOENCODING",
    "PYTHONUTF8", "PYTHONNOUSERSITE", "PYTHONSAFEPATH",
)  # fmt: skip
SWITCHES = ("VLLM_ALLOW_INSECURE_SERIALIZATION", "VLLM_ALLOW_RUNTIME_LORA_UPDATING", "VLLM_SERVER_DEV_MODE")
"""Variables that let clients of vLLM load code or files, or reset the engine (vllm/envs.py)."""
IMAGE = ("/usr", "/opt", "/lib", "/lib64", "/bin", "/sbin", "/vllm-workspace", "/workspace")
"""Directories that an image of the engine fills, and into which nobody writes."""
WRITTEN = ("/dev", "/home", "/mnt", "/proc", "/root", "/run", "/sys", "/tmp", "/var")
"""Directories in which programs find what was written after the image was built."""
_USUAL_SECRETS = (
    "regcred", "registry", "registry-cred*", "registry-pull*", "*pull-secret*", "*-pull", "pull-*", "docker-*",
    "dockerhub*", "ghcr*", "harbor*", "swr*", "hf-*", "hugging-face*", "huggingface*", "modelscope*",
    "*-registry*", "*-hub", "model-*", "models-*", "llm-*", "vllm-*",
)  # fmt: skip
"""Names by which people keep what a kubelet pulls images with, and what a hub of models asks for."""


def secrets(pod: Pod) -> Iterator[Breach]:
    """Secrets that pods read. Without a policy those pass whose name says that they are the app's own."""
    for name, path in _secret_names(pod):
        usual = path[:1] != ("overrides",) and (
            pod.case.is_own(name) or any(matches(pattern, name) for pattern in _USUAL_SECRETS)
        )
        message = phrase("Secret {name} is read by {role}", role=pod.role, name=name)
        hint = phrase("name it as the app or its namespace, or allow it below policy: secrets in a platform file")
        unusual = not usual or bool(pod.case.policy)
        yield from pod.case.breach(SECRET, path, message, hint, key="secrets", value=name, unusual=unusual)


def _secret_names(pod: Pod) -> Iterator[tuple[str, Path]]:
    for index, entry in enumerate(pod.spec.get("imagePullSecrets") or ()):
        yield str(entry.get("name")), pod.at(("imagePullSecrets", index), ("imagePullSecrets",))
    for index, volume in enumerate(pod.spec.get("volumes") or ()):
        for secret in _secrets_of(volume):
            yield secret, pod.at(("volumes", index), volume_field(pod, str(volume.get("name"))))
    for at, container in pod.containers:
        for index, entry in enumerate(container.get("env") or ()):
            name = ((entry.get("valueFrom") or {}).get("secretKeyRef") or {}).get("name")
            if name:
                yield str(name), pod.at((*at, "env", index), pod.case.env_path(pod.role, str(entry.get("name"))))
        for entry in container.get("envFrom") or ():
            name = (entry.get("secretRef") or {}).get("name")
            if name:
                yield str(name), pod.at((*at, "envFrom"))


def _secrets_of(volume: Mapping[str, Any]) -> Iterator[str]:
    """The Secrets that a volume shows, or that its driver reads; a token of the API server counts as one."""
    if name := (volume.get("secret") or {}).get("secretName"):
        yield str(name)
    for source in (volume.get("projected") or {}).get("sources") or ():
        if name := (source.get("secret") or {}).get("name"):
            yield str(name)
        if "serviceAccountToken" in source:
            yield "serviceAccountToken"
    for source in volume.values():
        if isinstance(source, dict):
            for field in ("secretRef", "nodePublishSecretRef"):
                if name := (source.get(field) or {}).get("name"):
                    yield str(name)


def variables(pod: Pod) -> Iterator[Breach]:
    """Variables and flags that hold secrets in plain text, and variables by which programs load code."""
    for at, container in pod.containers:
        mounts = [str(mount.get("mountPath")) for mount in container.get("volumeMounts") or ()]
        for place, name, value in _variables(container):
            loads, holds = _loads(name, value, mounts), _is_plain(name, value or "")
            if loads or holds or name in SWITCHES or "${" in (value or ""):
                path = pod.at((*at, *place), pod.case.env_path(pod.role, name))
                yield from _variable(pod, path, name, value, mounts if loads else None)
        for flag, value in flags_of(container):
            if _is_plain(flag, value):
                path = pod.at((*at, "args"), pod.case.flag_path(pod.role, flag))
                what = phrase("flag {flag} of {role}", flag=shown(f"--{flag}"), role=pod.role)
                yield from _plain(pod.case, path, what, phrase("use a variable with secretKeyRef"))


def _variable(pod: Pod, path: Path, name: str, value: str | None, loads_beside: list[str] | None) -> Iterator[Breach]:
    """What is wrong with a variable; `loads_beside` are the mounts of a container into which it loads code."""
    what = phrase("variable {name} of {role}", name=name, role=pod.role)
    if _is_plain(name, value or ""):
        hint = phrase("env: {{{name}: {{secretKeyRef: {{name: SECRET, key: KEY}}}}}}", name=name)
        yield from _plain(pod.case, path, what, hint)
    if "${" in (value or ""):
        message = phrase("{what} holds ${{…}}", what=what)
        hint = phrase("write the value itself, or prepend what comes before it")
        yield from pod.case.breach(SUBSTITUTION, path, message, hint)
    if loads_beside is not None:
        message = phrase("{what} loads code into every program", what=what)
        unusual = bool(pod.case.policy) or not _of_some_image(value, loads_beside)
        yield from pod.case.breach(COMMAND, path, message, phrase("build it into the image"), unusual=unusual)
    elif name in SWITCHES and value not in ("", "0"):
        message = phrase("{what} lets clients change the engine", what=what)
        yield from pod.case.breach(COMMAND, path, message, phrase("remove it, or ask for an exception"))


def _variables(container: Container) -> Iterator[tuple[Path, str, str | None]]:
    """Place, name and value of a container's variables and of what the launcher prepends; None for a reference."""
    for index, entry in enumerate(container.get("env") or ()):
        yield ("env", index), str(entry.get("name")), None if entry.get("valueFrom") else str(entry.get("value", ""))
    for word in container.get("args") or ():
        if str(word).startswith(PREPEND):
            name, _, value = str(word)[len(PREPEND) :].partition("=")
            yield ("args",), name, value


def _loads(name: str, value: str | None, mounts: list[str]) -> bool:
    """Whether a variable makes programs load code that is not the image's."""
    if not _names_code(name) or value == "":
        return False
    places = re.split(r"[: ;]", value) if value is not None else [""]
    itself = (f"${name}", f"${{{name}}}")  # nobody expands it: W720
    return not all(_in_image(place, mounts) for place in places if place not in itself)


@lru_cache(4096)
def _names_code(name: str) -> bool:
    return (name in LOADERS or name.startswith(PREFIXES)) and name not in HARMLESS


def _in_image(place: str, mounts: list[str]) -> bool:
    path = posixpath.normpath(place)
    return any(below(each, path) for each in IMAGE) and not any(below(mount, path) for mount in mounts)


def _of_some_image(value: str | None, mounts: list[str]) -> bool:
    """Whether all directories may be the image's own: no volume lies there, and no engine writes there."""
    places = [place for place in re.split(r"[: ;]", value or "") if place and "$" not in place]
    return bool(places) and all(
        place.startswith("/") and not any(below(each, path) or below(path, each) for each in (*mounts, *WRITTEN))
        for place in places
        for path in [posixpath.normpath(place)]
    )


def _is_plain(name: str, value: str) -> bool:
    """Whether a name says that its value is a secret; what the form of one shows is found by plain_text.py."""
    return (
        names_secret(name) and value != "" and "$(" not in value and not (holds_password(value) or holds_secret(value))
    )


def _plain(case: Case, path: Path, what: Phrase, hint: Phrase) -> Iterator[Breach]:
    yield from case.breach(PLAIN_SECRET, path, phrase("{what} holds a secret in plain text", what=what), hint)
