"""stormc's own programs in pods: what starts them, what they are told, and the volumes that carry them.

Passes write all of it; rules, policies and import look for it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from stormc.facts.keys import Directory

LAUNCHER_FILE = "launch.py"
LAUNCHER_COMMAND = ("python3", f"{Directory.LAUNCHER}/{LAUNCHER_FILE}")
PREPEND = "--prepend="
"""The launcher's option that puts a text before a variable of the image: `--prepend=NAME=TEXT`, any number of times."""
LAUNCHER_OPTIONS: Mapping[str, int] = {
    "--external-dp": 0, "--multi-node": 0, "--print": 0, "--independent": 1, PREPEND.removesuffix("="): 1,
    "--head-timeout": 1,
}  # fmt: skip
"""The launcher's options, and how many words follow each (payload/launch.py; a test holds them against its parser)."""

PROXY_PACKAGE = "stormc_proxy"
PROXY_COMMAND = ("python3", "-m", PROXY_PACKAGE)
PROXY_DIRECTORY = f"{Directory.STORMC}/{PROXY_PACKAGE}"
PROXY_CONFIG_DIRECTORY = "/etc/stormc/proxy"
SCRATCH_DIRECTORY = "/tmp"
"""The only directory of a routing pod that can be written to."""


class Volume:
    """The names of the volumes that stormc writes into pods."""

    LAUNCHER = "launcher"
    SCRIPT = "script"
    MODEL = "model"
    SHM = "shm"
    PROXY_SOURCE = "proxy-source"
    PROXY_CONFIG = "proxy-config"
    SCRATCH = "tmp"


def proxy_config_name(app: str) -> str:
    """The name of the ConfigMap with the proxy's config file."""
    return f"{app}-proxy-config"


def is_proxy_config(manifest: Mapping[str, Any]) -> bool:
    """Whether a manifest is the ConfigMap with the proxy's config file."""
    return manifest["kind"] == "ConfigMap" and str(manifest["metadata"]["name"]).endswith(proxy_config_name(""))


def router_service_name(app: str) -> str:
    """The name of the Service that clients use; the app's own name is that of AIBrix's headless Service."""
    return f"{app}-router"


VOLUME_NAMES = frozenset(value for name, value in vars(Volume).items() if name.isupper())


def device_volume(path: str) -> str:
    """The name of the volume of a device file: `hccn-conf` of /etc/hccn.conf."""
    return path.rpartition("/")[2].replace(".", "-").replace("_", "-").lower()
