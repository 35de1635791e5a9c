"""stormc engines: the vllm-ascend releases that stormc knows, what each understands and refuses."""

from __future__ import annotations

import argparse
from collections.abc import Iterator

from stormc.failure import Failure
from stormc.finding import did_you_mean
from stormc.phrase import aligned, phrase


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", nargs="?", metavar="RELEASE", help="show this release, such as 0.23, with its sources")


def run(options: argparse.Namespace) -> int:
    """Prints a table of all releases, or the facts of one. Raises Failure for an unknown release."""
    from stormc.load.engines import read_engines

    engines = read_engines()
    if options.name is None:
        for line in engine_table():
            print(line)
        return 0
    name = options.name.removeprefix("v")
    if name not in engines.releases:
        hint = did_you_mean(name, engines.releases) or f"known: {', '.join(engines.releases)}"
        raise Failure(phrase("no engine {name}; {hint}", name=options.name, hint=hint))
    print((engines.folder / f"{name}.json").read_text(encoding="utf-8"), end="")
    return 0


def engine_table() -> Iterator[str]:
    """One line per release line: its vllm-ascend, the vLLM that it carries, flags, P/D connectors, default of init."""
    from stormc.load.engines import read_engines

    engines = read_engines()
    rows = [("RELEASE", "VLLM-ASCEND", "VLLM", "FLAGS", "PREFILL/DECODE CONNECTORS, THE RECOMMENDED FIRST")]
    for name in engines.releases:
        facts = engines[name]
        carrying = [c for c, protocol in facts.connectors.items() if protocol in ("prefill-first", "decode-first")]
        ours = sorted(c for c in carrying if c != facts.recommended and c.startswith("Mooncake"))
        shown = ", ".join([facts.recommended, *ours])
        rows.append((name, facts.vllm_ascend, facts.vllm, str(len(facts.flags)), shown))
    yield from aligned(rows)
