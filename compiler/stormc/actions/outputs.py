"""What a render keeps of a compiled app: its files are staged where it was compiled, in this process or another."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from stormc.compile.compilation import Compilation, Stage
from stormc.digest import digest
from stormc.finding import Finding, has_errors
from stormc.load.sources import Source
from stormc.model.summary import Summary
from stormc.record import NamedTuple
from stormc.tree.memory import Memory
from stormc.tree.read import on_disk
from stormc.tree.staging import New, stage
from stormc.tree.unchanged import Inputs


class Output(NamedTuple):
    """One app: its findings, and without errors its summary, the digests of its files and those that are new."""

    path: str
    inputs: str
    findings: Sequence[Finding]
    summary: Summary | None
    hashes: Mapping[str, str]
    new: Mapping[str, New]

    def memory(self, stamp: str) -> Memory | None:
        """What the next render is told of it; nothing of an app with errors."""
        if self.summary is None or has_errors(self.findings):
            return None
        return Memory(self.inputs, self.summary, tuple(self.findings), self.hashes, stamp)


def output(
    compile_one: Callable[[Source, Stage], Compilation], inputs: Inputs, out: Path, staging: Path | None,
    numbered: tuple[int, Source],
) -> Output:  # fmt: skip
    """Compiles one app; files that are other than on disk are staged under the app's number, if there is a staging.

    Without one, manifests that are on disk as they are now are not held against schemas again: they were when they
    were written, and loading the judge takes longer than all else of a hook.
    """
    number, source = numbered
    made = compile_one(source, Stage.DRAFT if staging is None else Stage.FILES)
    new = _new(out, made)
    if staging is None and new:
        made = compile_one(source, Stage.FILES)
        new = _new(out, made)
    files = made.files or {}
    if staging is not None and made.files:
        new = stage(staging, number, {path: files[path] for path in new})
    hashes = {path: digest(text) for path, text in files.items()}
    return Output(source.path, digest(*inputs(source)), made.findings, made.summary, hashes, new)


def _new(out: Path, made: Compilation) -> Mapping[str, New]:
    """The files that are other than on disk."""
    return {path: text for path, text in (made.files or {}).items() if on_disk(out, path) != text}
