"""The result of the chain, as CSV files."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from pathlib import Path

from exatrkx.files import named, write_files
from exatrkx_acts.performance import Performance


def write_tables(performance: Performance, folder: Path) -> list[Path]:
    """Write everything that the report and the plots show. Returns the files.

    `tracks.csv` has the ratios, in bins and over all, with 95 % intervals; `parameters.csv` centre and width of each
    residual and pull; `histograms.csv` their bins.
    """
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
    files = {folder / name: _csv(header.split(), rows) for name, (header, rows) in tables.items()}
    with named(folder):
        folder.mkdir(parents=True, exist_ok=True)
    write_files(files)
    return list(files)


def _csv(header: Sequence[str], rows: Iterable[Sequence[object]]) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(header)
    writer.writerows(rows)
    return text.getvalue().encode()


def _ratios(performance: Performance) -> Iterable[Sequence[object]]:
    for name in ("efficiency", "fake_ratio", "duplicate_ratio"):
        ratio = getattr(performance, name)
        yield name, "", "", ratio.numerator, ratio.denominator, *ratio.interval
    for name in ("efficiency_eta", "efficiency_pt"):
        binned = getattr(performance, name)
        for edges, ratio in zip(binned.axis.bins, binned.ratios, strict=True):
            yield name, *edges, ratio.numerator, ratio.denominator, *ratio.interval
