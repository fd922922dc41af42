"""The binned figures as CSV: one row for each bin of each curve of each sample."""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from exatrkx.validation.binned import BinnedFigures

COLUMNS: Final = (
    "sample",
    "quantity",
    "matching_or_stage",
    "variable",
    "unit",
    "low",
    "high",
    "numerator",
    "denominator",
)


def write_table(path: Path, figures: Mapping[str, BinnedFigures]) -> None:
    """Write the counts, those of empty bins too.

    Args:
        path: replaced if it is there.
        figures: of each sample, by its name.
    """
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        for sample, binned in figures.items():
            for (quantity, kind, axis), counted in binned.ratios.items():
                for (low, high), ratio in zip(axis.bins, counted.ratios, strict=True):
                    counts = (ratio.numerator, ratio.denominator)
                    writer.writerow((sample, quantity, kind, axis.name, axis.unit, low, high, *counts))
