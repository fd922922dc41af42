"""The result of the chain, as CSV files."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from pathlib import Path

from exatrkx_acts.parameters import PARAMETERS
from exatrkx_acts.performance import Performance


def write_tables(performance: Performance, folder: Path) -> list[Path]:
    """Write everything that the report and the plots show. Returns the files.

    `tracks.csv` has the ratios, in bins and over all, with 95 % intervals; `parameters.csv` centre and width of each
    residual and pull; `histograms.csv` their bins.
    """
    folder.mkdir(parents=True, exist_ok=True)
    tables: dict[str, tuple[Sequence[str], Iterable[Sequence[object]]]] = {
        "tracks.csv": (
            ("ratio", "low_edge", "high_edge", "numerator", "denominator", "low", "high"),
            _ratios(performance),
        ),
        "parameters.csv": (
            ("parameter", "quantity", "unit", "tracks", "within", "median", "width", "width_error"),
            _parameters(performance),
        ),
        "histograms.csv": (("parameter", "quantity", "low_edge", "high_edge", "tracks"), _bins(performance)),
    }
    for name, (header, rows) in tables.items():
        with (folder / name).open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(header)
            writer.writerows(rows)
    return [folder / name for name in tables]


def _ratios(performance: Performance) -> Iterable[Sequence[object]]:
    for name in ("efficiency", "fake_ratio", "duplicate_ratio"):
        ratio = getattr(performance, name)
        yield name, "", "", ratio.numerator, ratio.denominator, *ratio.interval
    for name in ("efficiency_eta", "efficiency_pt"):
        binned = getattr(performance, name)
        for low, high, ratio in zip(binned.edges, binned.edges[1:], binned.ratios, strict=False):
            yield name, low, high, ratio.numerator, ratio.denominator, *ratio.interval


def _parameters(performance: Performance) -> Iterable[Sequence[object]]:
    for p in PARAMETERS:
        for quantity, unit, d in (
            ("residual", p.unit, performance.residuals[p.key]),
            ("pull", "", performance.pulls[p.key]),
        ):
            yield p.key, quantity, unit, d.total, d.within, d.centre, d.width, d.width_error


def _bins(performance: Performance) -> Iterable[Sequence[object]]:
    for p in PARAMETERS:
        for quantity, d in (("residual", performance.residuals[p.key]), ("pull", performance.pulls[p.key])):
            for low, high, count in zip(d.edges, d.edges[1:], d.counts, strict=False):
                yield p.key, quantity, low, high, round(count)
