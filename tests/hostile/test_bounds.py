"""Files of up to 1 MiB that are made to be expensive: time and memory are bounded, for every kind of them.

No clock is read here, for the machine may be busy: a process gets so many seconds of processor time and so much memory
as a kernel limit, and ends with a signal or a MemoryError when it needs more.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from tests.hostile.branch import write

ROOT = Path(__file__).parents[2]
HEAD = """apiVersion: stormc.dev/v1
kind: App
name: app
namespace: team-a
model: {name: m, path: /mnt/models/x}
image: a:b
hardware: atlas-800i-a2
"""
ROLES = "prefill: {tensorParallel: 8}\ndecode: {tensorParallel: 8}\n"


def role(fields: str) -> str:
    return HEAD + f"prefill: {{tensorParallel: 8, {fields}}}\ndecode: {{tensorParallel: 8}}\n"


def many(text: str, count: int, joint: str = ", ") -> str:
    return joint.join(text.replace("#", str(number)) for number in range(count))


SIZES = "tensorParallel: 1, replicas: {}, podGroupSize: {}, dataParallel: {}"


def sized(replicas: int, size: int, ranks: int) -> str:
    fields = SIZES.format(replicas, size, ranks)
    return HEAD + f"prefill: {{{fields}}}\ndecode: {{{fields}}}\n"


ALIASES = "prefill:\n  tensorParallel: 8\n  engineArgs:\n    a: &a %s\n%s\ndecode: {tensorParallel: 8}\n"
SPECS = {
    "aliases of a long scalar": HEAD + ALIASES % ("x" * 500_000, many("    b#: *a", 1000, "\n")),
    "aliases of a long key": HEAD + ALIASES % ("{" + "x" * 900 + ": 1}", many("    b#: *a", 4000, "\n")),
    "unknown keys": HEAD + ROLES + many("prefilN#xxxxxxxx: 1", 4900, "\n"),
    "unknown keys over the limit": HEAD + ROLES + many("prefilN#xxxxxxxx: 1", 40_000, "\n"),
    "wrong values": role("env: {" + many("E#: [1]", 4800) + "}"),
    "misspelt variables": role("env: {" + many("HCCL_IF_IQ#: v", 4800) + "}"),
    "misspelt labels": role("labels: {" + many("huawei.com/schedule_minAvailabl#: v", 4800) + "}"),
    "misspelt flags": role("engineArgs: {" + many("max-model-le#: v", 4800) + "}"),
    "references": role('env: {A: "' + "$(A)" * 250_000 + '"}'),
    "references to many": role("env: {" + many('A#: "$(B#) $(A1)"', 4800) + "}"),
    "duplicate keys": HEAD + ROLES + "name: a\n" * 19_000,
    "tolerations": role("tolerations: [" + many("{key: a#, operator: Exists}", 2400) + "]"),
    "hashes in a scalar": role("env: {" + many("E#: x", 4000) + ', Z: "stormc: ' + "# " * 2000 + '"}') + "# x\n",
    "suppressions": HEAD + ROLES + "# stormc: ignore[W036] x\n" * 38_000,
    "ids of a suppression": HEAD + ROLES + f"# stormc: ignore[{many('W#', 140_000, ',')}] x\n",
    "hashes in a comment": HEAD + ROLES + "# stormc: " + "# " * 500_000 + "\n",
    "overrides": HEAD + ROLES + "overrides:\n"
    + many("- {target: Service, reason: r, owner: o, patch: {metadata: {labels: {l#: v}}}}", 600, "\n") + "\n",
    "pods": sized(1000, 100, 100),
    "ranks": sized(1000, 1, 4096),
    "a long name": HEAD.replace("atlas-800i-a2", "z" * 900_000) + ROLES,
    "a long value": HEAD + ROLES + f"x: {'y' * 1_000_000}\n",
    "comments": HEAD + ROLES + "# yyyyyyyyyyyyyyy\n" * 55_000,
    "blanks": HEAD + ROLES + " " * 1_000_000,
    "quotes": HEAD + ROLES + 'x: "' + "\\n" * 500_000 + '"\n',
    "a tab": HEAD + ROLES + "\tx: 1\n" * 150_000,
    "flow style": HEAD + ROLES + "x: {" + many("k#: [1]", 4000) + "}\n",
    "open brackets": HEAD + ROLES + "x: " + "[" * 900_000,
    "colons in a brace": HEAD + ROLES + "x: {" + ":a" * 450_000,
    "keys out of order": HEAD + "decode: {tensorParallel: 8}\nprefill:\n  tensorParallel: 8\n  volumes:\n"
    + many("  - hostPath: /x\n    mountPath: /m#\n    name: v#", 1400, "\n") + "\n",
    "words": HEAD + ROLES + "x: " + "a " * 500_000 + "\n",
    "empty comments": HEAD + ROLES + "#\n" * 500_000,
    "a literal": HEAD + ROLES + "x: |\n" + "  a\n" * 240_000,
    "merge keys": HEAD + ROLES + "a: &a {x: 1}\n" + many("b#: {<<: *a}", 50_000, "\n"),
    "tags": HEAD + ROLES + "x: !<" + "%41" * 300_000 + "> y\n",
    "documents": HEAD + ROLES + "---\na: 1\n" * 110_000,
    "a number": HEAD + ROLES + "port: " + "9" * 1_000_000 + "\n",
    "escapes": HEAD + ROLES + 'x: "' + "\\U0001F600" * 90_000 + '"\n',
    "question marks": HEAD + ROLES + "? " * 500_000,
    "half a token": role("env: {X: '" + "eyJaaaaaaaa." * 80_000 + "'}"),
    "a variable of paths": role("env: {LD_LIBRARY_PATH: '" + "/a:" * 300_000 + "'}"),
    "what only the slow parser reads": HEAD + ROLES + "x: [::1" + ", ::1" * 2000 + "]\n",
}  # fmt: skip
SECONDS, MEGABYTES = 2, 200
"""What issue 18 allows for a file, on an idle machine."""
SLACK = 3
"""Processors of busy or old machines take longer for the same work; ten times the work would still be seen."""


def limited() -> None:
    resource.setrlimit(resource.RLIMIT_CPU, (SLACK * SECONDS, SLACK * SECONDS + 1))


def run(directory: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", PROGRAM, *words], cwd=directory, preexec_fn=limited, capture_output=True, text=True,
        env=os.environ | {"PYTHONPATH": str(ROOT / "compiler")}, timeout=600,
    )  # fmt: skip


# Not ru_maxrss: that of a child counts what the test process held when it forked.
PROGRAM = f"""
import sys
from stormc.__main__ import main
code = main(sys.argv[1:])
peak = int(open("/proc/self/status").read().split("VmHWM:")[1].split()[0]) // 1024
sys.exit(f"{{peak}} MB" if peak > {MEGABYTES} else code)
"""


TRIED = [(case, verb) for n, case in enumerate(SPECS) for verb in ("validate", "render", ("fmt", "import")[n % 2])]
TRIED += [(case, "fmt") for case in ("keys out of order", "empty comments") if (case, "fmt") not in TRIED]


@pytest.mark.parametrize(("case", "verb"), TRIED)
def test_a_spec_is_judged_in_bounded_time_and_memory(tmp_path: Path, case: str, verb: str) -> None:
    write(tmp_path, "specs/app.yaml", SPECS[case])
    assert (tmp_path / "specs/app.yaml").stat().st_size <= 1 << 20
    words = [verb, "specs/app.yaml"] if verb == "import" else [verb]
    done = run(tmp_path, *words)
    assert done.returncode in (0, 1, 2) and "internal error" not in done.stderr, done.stderr[-300:]
    assert " MB" not in done.stderr[-20:], (done.returncode, done.stderr[-300:])
