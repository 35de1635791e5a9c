"""Figures that a run measured, printed at its end: docs/e2e.md carries them."""

from __future__ import annotations

from typing import Protocol


class Measured(Protocol):
    """Where something was measured."""

    @property
    def label(self) -> str:
        """The release."""


FIGURES: list[str] = []


def record(release: Measured, what: str, figure: str) -> None:
    """Notes a figure for the summary."""
    FIGURES.append(f"AIBrix {release.label}: {what}: {figure}")
