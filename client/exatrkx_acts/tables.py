"""The result of the chain, as CSV files."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from pathlib import Path

from exatrkx_acts.performance import Performance


def write_tables(performance: Performance, folder: Path) -> list[Path]:
    """Write everything that the report and the plots show. Returns the files.

    `tracks.csv` has the ratios, in bins and over all, with 95 % intervals; `parameters.csv` centre and width of each
    residual and pull; `histograms.csv` their bins.
    """
    folder.mkdir(parents=True, exist_ok=True)
    values = list(performance.distributions())
    tables: dict[str, tuple[str, Iterable[Sequence[object]]]] = {
        "tracks.csv": ("ratio low_edge high_edge numerator denominator low high", _ratios(performance)),
        "parameters.csv": (
            "parameter quantity unit tracks within median width width_error",
            ((p.key, name, unit, d.total, d.within, d.centre, d.width, d.width_error) for p, name, unit, d in values),
        ),
        "histograms.csv": (
            "parameter quantity low_edge high_edge tracks",
            (
                (p.key, name, low, high, round(count))
                for p, name, _, d in values
                for low, high, count in zip(d.edges, d.edges[1:], d.counts, strict=False)
            ),
        ),
    }
    for name, (header, rows) in tables.items():
        with (folder / name).open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(header.split())
            writer.writerows(rows)
    return [folder / name for name in tables]


def _ratios(performance: Performance) -> Iterable[Sequence[object]]:
    for name in ("efficiency", "fake_ratio", "duplicate_ratio"):
        ratio = getattr(performance, name)
        yield name, "", "", ratio.numerator, ratio.denominator, *ratio.interval
    for name in ("efficiency_eta", "efficiency_pt"):
        binned = getattr(performance, name)
        for edges, ratio in zip(binned.axis.bins, binned.ratios, strict=True):
            yield name, *edges, ratio.numerator, ratio.denominator, *ratio.interval
