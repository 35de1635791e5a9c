"""Origins held against an oracle that knows no pass: it changes fields of the spec and compares all leaves."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from stormc.finding import Path
from stormc.load.document import Document
from stormc.model.layers import Layer, merge_layers
from tests.compile.oracle import START, Outcomes, holds_itself, names_all, names_nothing_else, spec_of
from tests.compile.spec_fields import FIELDS

SPECS: dict[str, dict[Path, Any]] = {
    "base": {},
    "everything set": {
        ("prefill", "image"): "own:1", ("kvTransfer", "port"): 30000, ("prefill", "npus"): 8, ("hostArch",): "arm",
        ("prefill", "env", "OMP_NUM_THREADS"): "3", ("prefill", "engineArgs", "seed"): 7, ("networkPolicy",): True,
        ("prefill", "engineArgs", "max-num-seqs"): 4, ("decode", "minAvailable"): 3, ("routing", "replicas"): 2,
        ("faults", "scheduling"): "grace", ("faults", "gracePeriodSeconds"): 60, ("proxy", "source"): "image",
    },
    "a script": {
        ("engine", "script"): {"hostPath": "/data/a", "command": "a"}, ("model", "volume"): {"hostPath": "/data/b"},
        ("decode", "distributedDp"): False, ("gateway",): "router", ("prefill", "env", "MODEL_NAME"): "a",
    },
    "the engine's own terms": {
        ("model", "moe"): False, ("hostNetwork",): True, ("prefill", "interface"): "bond0", ("decode", "port"): 9000,
        ("volumes",): FIELDS["volumes",][1], ("prefill", "volumes"): FIELDS["volumes",][0],
        ("prefill", "engineArgs", "kv-transfer-config"): FIELDS["engine", "args", "kv-transfer-config"][0],
        ("engine", "args", "enforce-eager"): False, ("engine", "args", "cudagraph-capture-sizes"): [4, 8],
        ("engine", "args", "additional-config.a"): 1, ("engine", "env", "LD_LIBRARY_PATH"): {"prepend": "/a"},
        ("prefill", "env", "HCCL_IF_IP"): None, ("decode", "engineArgs", "host"): None, ("kvTransfer", "port"): 30000,
        ("tolerations",): FIELDS["tolerations",][0], ("networkPolicy",): True,
    },
    "a command": {("engine", "command"): ["run"], ("model", "volume"): {"persistentVolumeClaim": "claim-a"}},
}  # fmt: skip


PARTS = [slice(start, None, 4) for start in range(4)]
"""Short tests: one that hangs is stopped, and a busy machine is slow."""


@pytest.mark.parametrize("part", PARTS, ids=str)
@pytest.mark.parametrize("fields", SPECS.values(), ids=SPECS.keys())
def test_every_leaf_names_what_decides_it(fields: Mapping[Path, Any], part: slice) -> None:
    spec, outcomes = spec_of(fields), Outcomes()
    holds_itself(spec, outcomes)
    names_all(spec, outcomes, list(FIELDS)[part])


@pytest.mark.parametrize("part", PARTS, ids=str)
@pytest.mark.parametrize("fields", SPECS.values(), ids=SPECS.keys())
def test_every_field_that_a_leaf_names_changes_it(fields: Mapping[Path, Any], part: slice) -> None:
    names_nothing_else(spec_of(fields), Outcomes(), part=part)


@pytest.mark.parametrize("overrides", FIELDS["overrides",])
def test_every_leaf_of_an_overridden_app_names_what_decides_it(overrides: list[Any]) -> None:
    spec, outcomes = spec_of({("overrides",): overrides}), Outcomes()
    holds_itself(spec, outcomes)
    names_all(spec, outcomes, [("overrides",), *list(FIELDS)[::16]])
    names_nothing_else(spec, outcomes, ("overrides",))


@settings(max_examples=8, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_fields_that_a_leaf_does_not_name_leave_it_alone(data: st.DataObject) -> None:
    layers = []
    for file in ("platform.yaml", "app.yaml"):
        paths = data.draw(st.lists(st.sampled_from(list(FIELDS)), max_size=15, unique=True))
        fields = {path: data.draw(st.sampled_from(FIELDS[path])) for path in paths}
        layers.append(Layer(Document(file, spec_of(fields, START if file == "app.yaml" else {}))))
    spec = dict(merge_layers(layers).data)
    outcomes = Outcomes()
    assume(outcomes.of(spec) is not None)
    holds_itself(spec, outcomes)
    names_all(spec, outcomes, data.draw(st.lists(st.sampled_from(list(FIELDS)), min_size=20, max_size=20, unique=True)))
