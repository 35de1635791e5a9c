"""What a release of MindCluster does not read yet."""

from __future__ import annotations

import pytest

from stormc.facts.known_keys import TABLES
from stormc.facts.limits import MINDCLUSTER_RELEASES
from stormc.facts.scheduling import POLICY_SINCE
from stormc.load.document import load_document
from stormc.load.releases import version
from stormc.model.profile import build_profile
from stormc.repository.profiles import builtin_profile
from tests.rules.judging import judge

SINCE = [(table, key, known.since) for table, keys in TABLES.items() for key, known in keys.items() if known.since]


@pytest.mark.parametrize("release", MINDCLUSTER_RELEASES)
@pytest.mark.parametrize(("table", "key", "since"), SINCE)
def test_a_key_has_no_effect_before_the_release_that_reads_it(table: str, key: str, since: str, release: str) -> None:
    spec = f"{{prefill: {{{table}: {{{key}: '1'}}}}, decode: {{{table}: {{{key}: '1'}}}}}}"
    findings = [f for f in judge(spec, f"mindcluster: '{release}'") if f.rule == "W034"]
    assert len(findings) == (2 if version(release) < version(since) else 0)


def test_a_policy_needs_its_release() -> None:
    known = builtin_profile("atlas-800i-a3")
    assert known is not None
    text = f"""
    name: mine
    product: {known.product}
    npus: 16
    podNpus: [16]
    acceleratorType: {known.accelerator_type}
    schedulePolicy: multilevel
    """
    document, problems = load_document("profiles/mine.yaml", text.encode())
    assert document is not None and not problems
    defaults = {
        "resource": known.resource, "superPod": False, "mindcluster": "7.3", "documented": False, "kvPort": 36000,
    }  # fmt: skip
    assert build_profile({**defaults, **document.data}).mindcluster == POLICY_SINCE["multilevel"]
