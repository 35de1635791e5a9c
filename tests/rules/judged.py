"""An example as the real way of the data judges it: the base app with its fields, further apps, a platform file."""

from __future__ import annotations

import yaml

from stormc.finding import Finding, in_order
from stormc.repository.world import check_namesakes
from stormc.rules.rule import Example
from tests.samples import spec_text, world


def judge(example: Example) -> list[Finding]:
    """The findings on the example's own app, those of the repository rules included."""
    files = {f"a{number}.yaml": spec_text(text) for number, text in enumerate(example.beside)}
    files["app.yaml"] = spec_text(example.spec)
    if example.platform:
        fields = yaml.safe_load(example.platform)
        head = {"apiVersion": "stormc.dev/v1", "kind": "Platform"}
        files["platform.yaml"] = yaml.safe_dump({**head, **fields})
    made = world(files)
    outcomes = [made.compile(source) for source in made.apps]
    summaries = [outcome.summary for outcome in outcomes if outcome.summary]
    found = [f for outcome in outcomes for f in outcome.findings]
    found += [*check_namesakes(summaries), *made.check_repository(summaries)]
    return [f for f in in_order(found) if f.file == "specs/app.yaml"]
