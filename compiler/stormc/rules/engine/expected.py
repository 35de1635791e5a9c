"""A command line that replaces stormc's starts what Services and proxy expect.

They are made from the fields of the spec. With another model, port or number of ranks in a command or in overridden
args the engine listens where nobody asks, or waits for ranks that nobody starts.
"""

from __future__ import annotations

from collections.abc import Iterator

from stormc.phrase import phrase
from stormc.rules.engine_run import Run, runs
from stormc.rules.rule import Example, Rule, Subject, Violation
from stormc.rules.storm_service import StormService


def check(service: StormService) -> Iterator[Violation]:
    for run in runs(service):
        if run.own_command:
            for name, value, expected in _differences(service, run):
                text = phrase(
                    "{role}: the command has {name} {value}, Services and proxy expect {wanted}",
                    role=run.role.name,
                    name=name,
                    value=value,
                    wanted=expected,
                )
                yield Violation(run.command_path, text, phrase("write {wanted}, or change the field", wanted=expected))


def _differences(service: StormService, run: Run) -> Iterator[tuple[str, str, str]]:
    role, app = run.role, service.app
    if run.model and run.model.startswith("/") and run.model.rstrip("/") != app.model.path.rstrip("/"):
        yield "model", run.model, app.model.path
    expected = {
        "port": role.port,
        "tensor-parallel-size": role.tensor_parallel,
        "data-parallel-size": 1 if role.independent else role.data_parallel,
        "served-model-name": app.model.name,
    }
    for flag, of_spec in expected.items():
        value = run.flags.get(flag)
        values = value if isinstance(value, list) else [value]
        if value is not None and "$" not in str(value) and str(of_spec) not in map(str, values):
            yield f"--{flag}", str(value), str(of_spec)


RULE = Rule(
    "E717", __doc__, check,
    source="compiler/stormc/passes/proxy/topology.py, compiler/stormc/passes/proxy/services.py",
    bad=(
        Example("""
            engine:
              command: [vllm, serve, /mnt/models/Qwen3-30B-A3B, --port=9999]
            """, at="engine.command"),
        Example(at="template.spec.containers[0].args", role="decode", template="""
            spec:
              containers:
              - name: decode
                args: [--external-dp, --, vllm, serve, /mnt/models/other, --port=8080,
                  '--kv-transfer-config={"kv_connector": "MooncakeLayerwiseConnector"}']
            """),
    ),
    instead=(
        Example("""
            engine:
              command: [vllm, serve, /mnt/models/Qwen3-30B-A3B, --port=8080]
            """),
    ),
    subject=Subject.MANIFESTS,
)  # fmt: skip
