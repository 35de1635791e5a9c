"""What holds where a spec field is not set: another field, or a fact of the hardware or the platform.

`build.py` and `build_role.py` settle values so; the origins of rendered fields say it by this table, and
tests/compile/test_provenance.py holds it against what is built. A field that is not in the table has the default of
`schema.py`, or none.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from stormc.facts.limits import SERVING_ROLES
from stormc.finding import Path
from stormc.record import NamedTuple

SHARED = ("tolerations", "priorityClassName", "shmSize", "queue", "hostNetwork", "interface", "securityContext")
"""Fields of `pod_fields.SHARED` that the role takes from the app as a whole, or not at all."""
ROLES = (*SERVING_ROLES, "routing")


class Fallback(NamedTuple):
    """What decides a value when its own field is not set."""

    fields: tuple[Path, ...] = ()
    fact: str = ""


NO_FALLBACK = Fallback()
_GANG = tuple((role, field) for role in SERVING_ROLES for field in ("podGroupSize", "replicas"))
"""All roles of podGroupSize 1 share a PodGroup, so the gang size of one role depends on the size of the other."""

WHO_SERVES = tuple(
    (role, field) for role in SERVING_ROLES for field in ("podGroupSize", "dataParallel", "distributedDp")
)
"""The fields that decide who gets the gateway's labels where `gateway` is not set: roles whose pods all answer HTTP."""

FALLBACKS: Mapping[Path, Fallback] = {
    **{(role, field): Fallback(((field,),)) for role in ROLES for field in ("image", "imagePullPolicy")},
    **{(role, field): Fallback(((field,),)) for role in SERVING_ROLES for field in ("port", *SHARED)},
    **{
        (role, "kvPort"): Fallback((("kvTransfer", "port"), ("hardware",)), "hardware.kvPort") for role in SERVING_ROLES
    },
    **{(role, "npus"): Fallback((("hardware",),), "hardware.npus") for role in SERVING_ROLES},
    **{(role, "distributedDp"): Fallback(((role, "dataParallel"),)) for role in SERVING_ROLES},
    **{(role, "minAvailable"): Fallback(_GANG) for role in SERVING_ROLES},
    ("namespace",): Fallback((), "platform.namespace"),
    ("hostArch",): Fallback((("hardware",),), "hardware.hostArch"),
    ("model", "volume", "hostPath"): Fallback((("model", "path"),)),
}


def is_set(data: Any, path: Path) -> bool:
    """Whether the data has a value at the path, null included; the empty path is always there."""
    for step in path:
        if isinstance(data, dict):
            if step not in data:
                return False
            data = data[step]
        elif isinstance(data, (list, tuple)) and isinstance(step, int) and step < len(data):
            data = data[step]
        else:
            return False
    return True
