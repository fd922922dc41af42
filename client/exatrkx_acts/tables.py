"""The result of the chain, as CSV files."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from exatrkx.files import named, write_files
from exatrkx_acts.chain import Fits
from exatrkx_acts.fitted import FITS, TRACK
from exatrkx_acts.performance import Performance


def write_tables(found: Mapping[str, Fits], folder: Path) -> list[Path]:
    """Write everything that the report and the plots show, for each finder. Returns the files.

    `tracks.csv` has each candidate with its fitted track, as `exatrkx_acts.fitted.TRACK` says; `ratios.csv` efficiency,
    fakes and duplicates, over all and in bins, with 95 % intervals; `parameters.csv` centre and width of each residual
    and pull; `histograms.csv` their bins.
    """
    values = [(name, *one) for name, fits in found.items() for one in fits.performance.distributions()]
    tables: dict[str, tuple[str, Iterable[Sequence[object]]]] = {
        "tracks.csv": (" ".join(("finder", *(TRACK.names or ()))), _tracks(found)),
        "ratios.csv": (
            "finder ratio low_edge high_edge numerator denominator low high",
            ((name, *row) for name, fits in found.items() for row in _ratios(fits.performance)),
        ),
        "parameters.csv": (
            "finder parameter quantity unit tracks within median width width_error",
            (
                (finder, p.key, name, unit, d.total, d.within, d.centre, d.width, d.width_error)
                for finder, p, name, unit, d in values
            ),
        ),
        "histograms.csv": (
            "finder parameter quantity low_edge high_edge tracks",
            (
                (finder, p.key, name, low, high, round(count))
                for finder, p, name, _, d in values
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


def _tracks(found: Mapping[str, Fits]) -> Iterator[Sequence[object]]:
    names = TRACK.names or ()
    for finder, fits in found.items():
        for values in fits.tracks.tolist():
            yield finder, *(_cell(name, value) for name, value in zip(names, values, strict=True))


def _cell(name: str, value: Any) -> object:
    if name == "fit":
        return FITS[value]
    return int(value) if isinstance(value, bool) else value


def _ratios(performance: Performance) -> Iterator[Sequence[object]]:
    for name in ("efficiency", "fake_ratio", "duplicate_ratio"):
        ratio = getattr(performance, name)
        yield name, "", "", ratio.numerator, ratio.denominator, *ratio.interval
    for name in ("efficiency_eta", "efficiency_pt"):
        binned = getattr(performance, name)
        for edges, ratio in zip(binned.axis.bins, binned.ratios, strict=True):
            yield name, *edges, ratio.numerator, ratio.denominator, *ratio.interval
