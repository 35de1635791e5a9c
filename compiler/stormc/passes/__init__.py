"""The pipeline: one literal tuple, in the order in which the passes write.

Every pass is a pure function `apply(app, platform)` that yields edits. Adding one means adding a module and a line.
"""

from __future__ import annotations

from stormc.passes import engine, faults, hardware, network, overrides, ownership, proxy, scheduling, workload
from stormc.passes.runner import Pass

PIPELINE: tuple[Pass, ...] = (
    Pass("workload", workload.apply),
    Pass("engine", engine.apply),
    Pass("hardware", hardware.apply),
    Pass("scheduling", scheduling.apply),
    Pass("faults", faults.apply),
    Pass("proxy", proxy.apply),
    Pass("network", network.apply),
    Pass("ownership", ownership.apply),
    Pass("overrides", overrides.apply, rewrites=True),
)
