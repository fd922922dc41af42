"""The report of a validation as Markdown: what was run, each stage's graph, the tracks, all with 95 % intervals."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from exatrkx.report import code_line, particles_line, track_table, with_interval
from exatrkx.validation.binned import MATCHINGS, Quantity
from exatrkx.validation.binning import ETA, PT, RADIUS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from exatrkx.intervals import Ratio
    from exatrkx.validation.binning import Axis, BinnedRatio
    from exatrkx.validation.finders import Finder
    from exatrkx.validation.sums import Validation

BINNED_TABLES: Final = (
    ("Track efficiency", (Quantity.EFFICIENCY,), (PT, ETA, RADIUS)),
    ("Edge efficiency after each stage", (Quantity.EDGE_EFFICIENCY,), (PT, ETA)),
    ("Duplicate rate", (Quantity.DUPLICATE_RATE,), (PT,)),
    (
        "Fake rate by the mean η of the candidate's spacepoints, duplicate rate by the particle's η",
        (Quantity.FAKE_RATE, Quantity.DUPLICATE_RATE),
        (ETA,),
    ),
)
"""Title, quantities side by side, and the variables of a table each."""


@dataclass(frozen=True, slots=True)
class Sample:
    """A set of events that has a section of the report.

    Attributes:
        name: of the section; in plots, too.
        paths: of its events.
    """

    name: str
    paths: tuple[str, ...]


def markdown(results: Mapping[Sample, Validation], finder: Finder) -> str:
    """The whole report: for several samples their summary, then a section for each."""
    if len(results) == 1:
        ((sample, result),) = results.items()
        return "\n".join(_section(sample, result, finder)) + "\n"
    lines = _summary(results, finder)
    for sample, result in results.items():
        lines += ["", f"## {sample.name}", "", *_section(sample, result, finder)]
    return "\n".join(lines) + "\n"


def _summary(results: Mapping[Sample, Validation], finder: Finder) -> list[str]:
    rows = []
    for sample, result in results.items():
        tracks = result.tracks
        ratios = (tracks.efficiency_double_majority, tracks.fake_rate, tracks.duplicate_rate)
        spacepoints = result.spacepoints / max(1, result.events)
        figures = (*(with_interval(one) for one in ratios), f"{spacepoints:.0f}", f"{result.median_ms:.1f}")
        rows.append((sample.name, str(result.events), *figures))
    columns = ("efficiency, double majority", "fake rate", "duplicate rate", "spacepoints per event", "ms per event")
    return [*_table(("sample", "events", *columns), rows), "", f"Times: median; {finder.timing}."]


def _section(sample: Sample, result: Validation, finder: Finder) -> list[str]:
    """What was run and all tables of one sample."""
    events = max(1, result.events)
    lines = [
        f"- Events: {result.events} ({', '.join(Path(path).name for path in sample.paths)}), "
        f"{result.spacepoints / events:.0f} spacepoints and {result.candidates / events:.0f} track candidates each",
        particles_line(result.selection),
        f"- {finder.origin}",
        f"- Time: {result.median_ms:.1f} ms per event (median; {finder.timing})",
        code_line(),
        "",
    ]
    stages = [
        (name, with_interval(stage.edges.efficiency), with_interval(stage.edges.purity), f"{stage.count / events:.0f}")
        for name, stage in result.stages.items()
        if stage.count
    ]
    if stages:
        lines += [*_table(("graph after", "edge efficiency", "purity", "edges per event"), stages), ""]
    lines += [*track_table(result.tracks), "", *_kinds(result)]
    for title, quantities, axes in BINNED_TABLES:
        for axis in axes:
            lines += _binned(title, [(one, result.binned.kinds(one, axis)) for one in quantities], axis)
    return lines


def _kinds(result: Validation) -> list[str]:
    rows = [(kind, *(_counted(found[name]) for name in MATCHINGS)) for kind, found in result.kinds.items()]
    return _table(("efficiency of", *MATCHINGS), rows)


def _binned(title: str, quantities: Sequence[tuple[Quantity, dict[str, BinnedRatio]]], axis: Axis) -> list[str]:
    """A table with a row for each bin in which something was counted; nothing at all if there is none."""
    columns = {kind or str(quantity): ratio for quantity, kinds in quantities for kind, ratio in kinds.items()}
    rows = []
    for place, (low, high) in enumerate(axis.bins):
        ratios = [binned.ratios[place] for binned in columns.values()]
        if any(ratio.denominator for ratio in ratios):
            rows.append((f"[{low:g}, {high:g})", *(_counted(ratio) for ratio in ratios)))
    if not rows:
        return []
    return ["", f"{title}: value [95 % interval] (counted)", "", *_table((axis.label, *columns), rows)]


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    return [_row(header), "|" + "---|" * len(header), *(_row(row) for row in rows)]


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cell.replace('|', '&#124;') for cell in cells)} |"


def _counted(ratio: Ratio) -> str:
    return f"{with_interval(ratio)} ({ratio.numerator} / {ratio.denominator})" if ratio.denominator else "–"
