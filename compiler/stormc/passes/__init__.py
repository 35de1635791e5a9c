"""The pipeline: one literal tuple, in the order in which the passes write.

Every pass is a pure function `apply(app, platform)` that yields edits. Adding one means adding a module and a line.
"""

from __future__ import annotations

from stormc.passes import faults, gateway, hardware, network, overrides, ownership, scheduling, workload
from stormc.passes.engine import container, environment, isolation, probes, start, volumes, weights
from stormc.passes.proxy import isolation as proxy_isolation
from stormc.passes.proxy import pods, services, source, topology
from stormc.passes.runner import Pass

PIPELINE: tuple[Pass, ...] = (
    Pass("workload", workload.apply),
    Pass("engine.container", container.apply),
    Pass("engine.start", start.apply, rewrites=True),
    Pass("engine.environment", environment.apply, rewrites=True),
    Pass("engine.probes", probes.apply),
    Pass("engine.weights", weights.apply),
    Pass("engine.volumes", volumes.apply),
    Pass("engine.isolation", isolation.apply),
    Pass("gateway", gateway.apply),
    Pass("hardware", hardware.apply),
    Pass("scheduling", scheduling.apply),
    Pass("faults", faults.apply),
    Pass("proxy.pods", pods.apply),
    Pass("proxy.isolation", proxy_isolation.apply),
    Pass("proxy.topology", topology.apply),
    Pass("proxy.source", source.apply),
    Pass("proxy.services", services.apply),
    Pass("network", network.apply),
    Pass("ownership", ownership.apply),
    Pass("overrides", overrides.apply, rewrites=True),
)
