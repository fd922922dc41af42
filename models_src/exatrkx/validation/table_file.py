"""The binned figures as CSV: one row for each bin of each curve of each finder in each sample."""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from exatrkx.validation.judged import Judged

COLUMNS: Final = (
    "sample",
    "finder",
    "quantity",
    "matching_or_stage",
    "variable",
    "unit",
    "low",
    "high",
    "numerator",
    "denominator",
)


def write_table(path: Path, judged: Sequence[Judged]) -> None:
    """Write the counts, those of empty bins too.

    Args:
        path: replaced if it is there.
        judged: each finder in each sample.
    """
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        for one in judged:
            for (quantity, kind, axis), counted in one.result.binned.ratios.items():
                for (low, high), ratio in zip(axis.bins, counted.ratios, strict=True):
                    counts = (ratio.numerator, ratio.denominator)
                    whose = (one.sample.name, one.finder.name)
                    writer.writerow((*whose, quantity, kind, axis.name, axis.unit, low, high, *counts))
