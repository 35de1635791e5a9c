"""Compiling one app for a render, in this process or another: its new files are staged, and only digests come back."""

from __future__ import annotations

import os
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
    """What a render needs of a compiled app: findings, and without errors its summary and its files.

    `hashes` are the digests of all its files by path, `new` the files that are other than on disk, `inputs` is the
    digest of everything that the app was compiled from.
    """

    path: str
    inputs: str
    findings: Sequence[Finding]
    summary: Summary | None
    hashes: Mapping[str, str]
    new: Mapping[str, New]

    def memory(self, stamp: str) -> Memory | None:
        """What the next render is to know of the app; None for one with errors, which is compiled again."""
        if self.summary is None or has_errors(self.findings):
            return None
        return Memory(self.inputs, self.summary, tuple(self.findings), self.hashes, stamp)


def compile_and_stage(
    compile_one: Callable[[Source, Stage], Compilation], inputs: Inputs, out: Path, staging: Path | None,
    numbered: tuple[int, Source],
) -> Output:  # fmt: skip
    """Compiles the numbered app. Files that are other than on disk are staged under its number, if `staging` is given.

    Without `staging` (`--check`), schemas judge the manifests only where a file is other than on disk: what is there
    was judged when it was written, and loading the schemas takes longer than all else in a hook.
    """
    number, source = numbered
    compilation = compile_one(source, Stage.DRAFT if staging is None else Stage.FILES)
    new = _new(out, compilation)
    if staging is None and new:
        compilation = compile_one(source, Stage.FILES)
        new = _new(out, compilation)
    files = compilation.files or {}
    if staging is not None and compilation.files:
        new = stage(staging, number, {path: files[path] for path in new})
    hashes = {path: digest(text) for path, text in files.items()}
    return Output(source.path, digest(*inputs(source)), compilation.findings, compilation.summary, hashes, new)


def _new(out: Path, compilation: Compilation) -> Mapping[str, New]:
    """The files that are other than on disk: all of them where the app has no directory yet."""
    files, summary = compilation.files or {}, compilation.summary
    if summary is None or not os.path.lexists(f"{out}/{summary.directory}"):
        return files
    return {path: text for path, text in files.items() if on_disk(out, path) != text}
