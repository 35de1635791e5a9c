"""The fault matrix: what a client gets when an engine fails, as rows that the tests run and docs/proxy.md shows.

`python -m tests.proxy.faults_table` writes it, the settings and the drawings between their markers in docs/proxy.md.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from stormc_proxy.options import TABLE
from stormc_proxy.outcomes import Outcome
from stormc_proxy.transitions import MACHINES, Machine

DOCS = Path(__file__).parents[2] / "docs" / "proxy.md"
MODES = ("layerwise", "standard")
ROLES = ("prefill", "decode")
ANSWER, EVENT, NOTHING = "answer", "error event", "nothing"
EXPLAINED = {
    ANSWER: "the whole answer, byte for byte that of the engine that gave it in the end",
    EVENT: "what was sent before is right, then an SSE error event and the end, no `[DONE]`",
    NOTHING: "status 200 and no event, as the engine says",
    "400 …": "status and body of the engine",
    "502 …": "a JSON error of the proxy",
}


@dataclass(frozen=True)
class Row:
    """One fault at engines of one role, and what it does to the client.

    `one` and `both` are the outcomes when one of two instances has the fault, or both; streams may have others.
    A number with `!` is the engine's own status and body.
    """

    title: str
    role: str
    one: str
    both: str
    one_stream: str = ""
    both_stream: str = ""
    manner: Mapping[str, Any] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)
    request: Mapping[str, Any] = field(default_factory=dict)
    modes: tuple[str, ...] = MODES
    counts: bool = True
    """Whether it is the instance's fault."""
    agreed: bool = False
    """Whether it is nobody's fault when both say the same."""

    def outcome(self, stream: bool, both: bool) -> str:
        """What the client gets."""
        if both:
            return self.both_stream if stream and self.both_stream else self.both
        return self.one_stream if stream and self.one_stream else self.one


@dataclass(frozen=True)
class Cell:
    """One run of a row."""

    row: Row
    mode: str
    stream: bool
    both: bool

    @property
    def outcome(self) -> str:
        """What the client gets."""
        return self.row.outcome(self.stream, self.both)


_PROBED = {"probe_interval_seconds": 0.2, "probe_timeout_seconds": 0.3}
_IMPATIENT = {"response_timeout_seconds": 0.8}
_SHAPES: tuple[tuple[str, Mapping[str, Any]], ...] = (
    ("`n: 3`", {"n": 3}),
    ("batch of 3 prompts", {"prompt": ["One", "Two", "Three"]}),
)


def _of_both_roles() -> Iterator[Row]:
    for role in ROLES:
        torn = EVENT if role == "decode" else ""
        unreached = "502" if role == "decode" else ANSWER
        yield Row("connection refused", role, ANSWER, unreached, manner={"fault": "refuse"})
        yield Row("reset before the status", role, ANSWER, "502", manner={"fault": "reset_before"})
        yield Row("closed before the status", role, ANSWER, "502", manner={"fault": "close_before"})
        yield Row("reset after the headers", role, ANSWER, "502", manner={"fault": "reset_after"})
        yield Row("body cut by a reset", role, ANSWER, "502", ANSWER, torn, {"fault": "cut_reset"})
        yield Row("body cut by a clean close", role, ANSWER, "502", ANSWER, torn, {"fault": "cut_close"})
        if role == "decode":
            yield Row("body cut by a clean close, streams with neither chunks nor a length", role, ANSWER, "502",
                      ANSWER, torn, {"fault": "cut_close", "framing": "close"})  # fmt: skip
        yield Row("not HTTP", role, ANSWER, "502", manner={"fault": "garbage"})
        yield Row("another protocol's greeting", role, ANSWER, "502", manner={"fault": "banner"})
        yield Row("lines that end without CR", role, ANSWER, "502", manner={"fault": "line_feeds"})
        yield Row("a transfer coding that is not known", role, ANSWER, "502", manner={"fault": "coding"})
        yield Row("answers in gzip, unasked for", role, ANSWER, ANSWER, manner={"gzipped": True}, counts=False)
        yield Row("answers in HTTP/1.0", role, ANSWER, ANSWER, manner={"old": True}, counts=False)
        yield Row("an interim answer (103) before each", role, ANSWER, ANSWER, manner={"interim": True}, counts=False)
        yield Row("chunks with extensions and trailers", role, ANSWER, ANSWER, manner={"trailers": True},
                  counts=False)  # fmt: skip
        yield Row("black hole, no timeouts set: the probes find it", role, ANSWER, unreached,
                  manner={"fault": "black_hole"}, settings=_PROBED)  # fmt: skip
        yield Row("silent, `/health` is fine, response timeout", role, ANSWER, "504", manner={"fault": "hang"},
                  settings=_IMPATIENT)  # fmt: skip
        yield Row("slow-loris: a byte of the status at a time, response timeout", role, ANSWER, "504",
                  manner={"fault": "slow_head"}, settings=_IMPATIENT)  # fmt: skip
        yield Row("silent after the headers, idle timeout", role, ANSWER, "504", manner={"fault": "hang_after_head"},
                  settings={"stream_idle_timeout_seconds": 0.8})  # fmt: skip
        yield Row("a byte at a time, to the end", role, ANSWER, ANSWER, manner={"fault": "trickle"}, counts=False)
        yield Row("400", role, "400!", "400!", manner={"fault": "400"}, counts=False)
        yield Row("422", role, "422!", "422!", manner={"fault": "422"}, counts=False)
        yield Row("500", role, ANSWER, "500!", manner={"fault": "500"})
        yield Row("503", role, ANSWER, "503!", manner={"fault": "503"})
        for status in (401, 403, 404, 405, 408, 413, 429, 501):
            yield Row(f"{status}: another one is asked", role, ANSWER, f"{status}!", manner={"fault": str(status)},
                      agreed=True)  # fmt: skip
        for title, shape in _SHAPES:
            yield Row(f"{title}, refused", role, ANSWER, unreached, manner={"fault": "refuse"}, request=shape)
            yield Row(f"{title}, 500", role, ANSWER, "500!", manner={"fault": "500"}, request=shape)
            yield Row(f"{title}, body cut", role, ANSWER, "502", ANSWER, torn, {"fault": "cut_reset"}, request=shape)


def _of_decode() -> Iterator[Row]:
    yield Row("an error event in place of the first event", "decode", ANSWER, "500!", manner={"fault": "error_first"})
    yield Row("an error event in place of the first event, `n: 3`", "decode", ANSWER, "500!",
              manner={"fault": "error_first"}, request={"n": 3})  # fmt: skip
    yield Row("an error object with status 200", "decode", ANSWER, "500!", manner={"fault": "error_body"})
    yield Row("status 200 and nothing", "decode", ANSWER, "502", both_stream=NOTHING, manner={"fault": "nothing"})
    yield Row("status 200 and no JSON", "decode", ANSWER, "502", both_stream=NOTHING, manner={"fault": "nonsense"})
    yield Row("comments while the request waits", "decode", ANSWER, ANSWER,
              manner={"comments": 0.01, "seconds": 0.05}, counts=False)  # fmt: skip
    once = {"recomputes": 1}
    yield Row("`recomputed` once", "decode", ANSWER, ANSWER, manner=once, counts=False)
    yield Row("`recomputed` once, text and end in one write", "decode", ANSWER, ANSWER,
              manner={**once, "writes": "coalesced"}, counts=False)  # fmt: skip
    yield Row("`recomputed` once, events torn", "decode", ANSWER, ANSWER, manner={**once, "writes": "split"},
              counts=False)  # fmt: skip
    yield Row("`recomputed` for ever, with progress", "decode", ANSWER, ANSWER, manner={"recomputes": -1},
              counts=False)  # fmt: skip
    yield Row("`recomputed` for ever, without progress", "decode", ANSWER, "503", both_stream=EVENT,
              manner={"recomputes": -1, "recompute_after": 0}, counts=False)  # fmt: skip
    for title, shape in _SHAPES:
        yield Row(f"{title}, `recomputed` once", "decode", ANSWER, ANSWER, manner=once, request=shape, counts=False)
    for title, callbacks in (
        ("callback twice", ("plain", "plain")),
        ("callback for an unknown request first", ("unknown", "plain")),
        ("callback with a random suffix", ("suffix",)),
        ("callback of a parallel sample", ("sampled",)),
    ):
        yield Row(title, "decode", ANSWER, ANSWER, manner={"callbacks": callbacks}, modes=("layerwise",), counts=False)
    yield Row("callback again when all is over", "decode", ANSWER, ANSWER, manner={"late_callback": True},
              modes=("layerwise",), counts=False)  # fmt: skip


ROWS = (*_of_both_roles(), *_of_decode())


def cells(row: Row) -> list[Cell]:
    """Every run of a row."""
    return [Cell(row, mode, stream, both) for mode in row.modes for stream in (True, False) for both in (False, True)]


def table() -> str:
    """The matrix in Markdown."""
    columns = [(mode, stream) for mode in MODES for stream in (True, False)]
    heads = [f"{mode}, {'stream' if stream else 'whole'}" for mode, stream in columns]
    lines = [
        f"{len(ROWS)} faults, {sum(len(cells(row)) for row in ROWS)} runs against real sockets "
        "(`tests/proxy/test_faults.py`), each with two instances of each role. A cell says what the client gets when "
        "one of the two has the fault / when both have it:",
        "",
        *(f"- {name}: {text}" for name, text in EXPLAINED.items()),
        "",
        "In every run: the client is answered, no load or awaited callback is left, the other half is aborted at "
        "once, and only failures of the last column count towards isolation.",
        "",
        f"| at | fault | {' | '.join(heads)} | counts |",
        f"|---|---|{'---|' * len(heads)}---|",
    ]
    for row in ROWS:
        shown = [
            f"{_shown(row.outcome(stream, False))} / {_shown(row.outcome(stream, True))}" if mode in row.modes else "-"
            for mode, stream in columns
        ]
        lines.append(f"| {row.role} | {row.title} | {' | '.join(shown)} | {'yes' if row.counts else 'no'} |")
    return "\n".join(lines) + "\n"


def _shown(outcome: str) -> str:
    return f"{outcome[:-1]} …" if outcome.endswith("!") else outcome


def settings_table() -> str:
    """The config file's keys in Markdown."""
    lines = ["| Key | Flag | Default | Meaning |", "|---|---|---|---|"]
    lines.append(
        '| `prefill`, `decode` | `--prefiller-hosts`, `--prefiller-ports`, … | | lists of `{"host", "port"}` |'
    )
    for option in TABLE:
        shown = str(option.default).lower() if isinstance(option.default, bool) else option.default
        value = f"{shown:g}" if isinstance(shown, float) else str(shown)
        key = f"`{option.key}`" if option.key else ""
        lines.append(f"| {key} | `{option.flag}` | {f'`{value}`' if value else ''} | {option.help.replace('|', '/')} |")
    return "\n".join(lines) + "\n"


def drawing(machine: Machine) -> str:
    """The machine as a state diagram in Mermaid."""
    names = {state: state.replace(" ", "_") for pair in machine.items() for state in (pair[0][0], pair[1])}
    edges: dict[tuple[str, str], list[str]] = {}
    for (state, event), following in machine.items():
        edges.setdefault((names[state], names[following]), []).append(event)
    lines = ["stateDiagram-v2", f"    [*] --> {names[machine.start]}"]
    lines += [f"    {a} --> {b}: {', '.join(events)}" for (a, b), events in edges.items()]
    return "\n".join(lines)


def machines() -> str:
    """The four state machines as drawings."""
    parts = [f"**{machine.name}**: {machine.about}\n\n```mermaid\n{drawing(machine)}\n```\n" for machine in MACHINES]
    return "\n".join(parts)


def outcomes_table() -> str:
    """What can happen, and what follows from it."""
    lines = ["| What | Failure of the instance | Another one is tried | Status |", "|---|---|---|---|"]
    for outcome in Outcome:
        yes = ["yes" if flag else "no" for flag in (outcome.counts, outcome.elsewhere)]
        lines.append(f"| {outcome.text} | {yes[0]} | {yes[1]} | {outcome.status or 'its own'} |")
    return "\n".join(lines) + "\n"


GENERATED = {"faults": table, "settings": settings_table, "machines": machines, "outcomes": outcomes_table}


def written(text: str) -> str:
    """A document with what is generated between the markers. Raises ValueError if it lacks one."""
    for name, made in GENERATED.items():
        begin, end = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
        before, found, rest = text.partition(begin)
        _, ended, after = rest.partition(end)
        if not found or not ended:
            raise ValueError(f"no {begin} … {end}")
        text = f"{before}{begin}\n\n{made()}\n{end}{after}"
    return text


def main() -> int:
    """Refresh docs/proxy.md."""
    DOCS.write_text(written(DOCS.read_text(encoding="utf-8")), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
