"""Plots of a validation: efficiencies and rates in bins, with 95 % intervals, and against the samples."""

from __future__ import annotations

from dataclasses import dataclass
from math import isnan
from operator import itemgetter
from typing import TYPE_CHECKING, Final

from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from exatrkx.reporting.plot_style import headline, new_figure, save_small, style
from exatrkx.validation.binned import ETA, BinnedRatio, Quantity
from exatrkx.validation.evaluation import finders_of, samples_of
from exatrkx.validation.panels import (
    draw_bins,
    draw_points,
    legend,
    looks,
    range_from_zero,
    range_of_intervals,
    range_to_one,
)
from exatrkx.validation.report import BINNED_TABLES, RATES, SAMPLES
from exatrkx.validation.tables import SAMPLE_FIGURES, TITLES

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from exatrkx.validation.binned import Axis
    from exatrkx.validation.evaluation import Evaluation, Sample

BINNED: Final = {
    plot: (quantities[0], axis)
    for _, quantities, plots in BINNED_TABLES
    for axis, plot in plots.items()
    if plot not in {"", RATES}
}
"""Plots of several matchings or stages, by the names of their files."""

WHOSE_ETA: Final = {
    Quantity.FAKE_RATE: "mean η of the candidate's spacepoints",
    Quantity.DUPLICATE_RATE: "η of the particle",
}


@dataclass(frozen=True, slots=True)
class Panel:
    """Title, what is drawn, and of each line its name and its points."""

    title: str
    quantity: Quantity
    lines: dict[str, BinnedRatio]


def write_plots(evaluations: Sequence[Evaluation], folder: Path) -> dict[str, Path]:
    """Draw all of which something was counted, as PNG. Returns the files by the names of the plots.

    Args:
        evaluations: each finder in each sample.
        folder: made if it is not there.

    Raises:
        ExatrkxError: mplhep is not installed.
    """
    written = {}
    with style():
        for name, figure in _figures(evaluations).items():
            written[name] = folder / f"{name}.png"
            save_small(figure, written[name])
    return written


def _figures(evaluations: Sequence[Evaluation]) -> dict[str, Figure]:
    figures = {}
    for name, (quantity, axis) in BINNED.items():
        counted = [one for one in evaluations if one.result.binned.kinds(quantity, axis)]
        if counted:
            figures[name] = binned_plot(counted, quantity, axis)
    if any(one.result.candidates for one in evaluations):
        figures[RATES] = rates_plot(evaluations)
    if len(samples_of(evaluations)) > 1:
        figures[SAMPLES] = samples_plot(evaluations)
    return figures


def binned_plot(evaluations: Sequence[Evaluation], quantity: Quantity, axis: Axis) -> Figure:
    """A quantity in bins, a panel for each matching or stage; of one finder in one sample all in one panel.

    Args:
        evaluations: of which something was counted.
        quantity: what was counted.
        axis: in bins of what.
    """
    kinds = list(dict.fromkeys(kind for one in evaluations for kind in one.result.binned.kinds(quantity, axis)))
    if len(evaluations) == 1:
        only = evaluations[0]
        title = f"{only.sample.name}: {only.result.selection}"
        return _drawn([[Panel(title, quantity, only.result.binned.kinds(quantity, axis))]], axis)
    return _drawn(_grid(evaluations, [(kind, quantity, kind) for kind in kinds], axis), axis)


def rates_plot(evaluations: Sequence[Evaluation]) -> Figure:
    """Fake rate by the candidates' η, and duplicate rate by the particles'."""
    return _drawn(_grid(evaluations, [(title, quantity, "") for quantity, title in WHOSE_ETA.items()], ETA), ETA)


def _grid(
    evaluations: Sequence[Evaluation], figures: Sequence[tuple[str, Quantity, str]], axis: Axis
) -> list[list[Panel]]:
    """Panels in rows: a line for each finder, or where there is but one, for each sample.

    Of several finders in several samples, each figure has a row, and each sample a column; else a row has all figures.

    Args:
        evaluations: each finder in each sample.
        figures: title, quantity, and matching or stage.
        axis: in bins of what.
    """
    several, samples = len(finders_of(evaluations)) > 1, samples_of(evaluations)
    apart = len(samples) == 1 or several
    columns = samples if apart else [None]
    rows = [[figure] for figure in figures] if several and len(samples) > 1 else [figures]
    return [
        [
            Panel(
                f"{sample.name}: {title}" if sample else title,
                quantity,
                _lines([one for one in evaluations if sample in {None, one.sample}], quantity, kind, axis, several),
            )
            for title, quantity, kind in row
            for sample in columns
        ]
        for row in rows
    ]


def _lines(
    evaluations: Sequence[Evaluation], quantity: Quantity, kind: str, axis: Axis, by_finder: bool
) -> dict[str, BinnedRatio]:
    nothing = BinnedRatio.zero(axis)
    return {
        one.finder.name if by_finder else one.sample.name: one.result.binned.kinds(quantity, axis).get(kind, nothing)
        for one in evaluations
    }


def _drawn(rows: list[list[Panel]], axis: Axis) -> Figure:
    """The panels; those of one row that show the same quantity have the same range."""
    wide, high = (4.0, 4.4) if len(rows) == 1 else (4.0, 3.2)
    figure, axes = new_figure(max(7.0, 1.0 + wide * len(rows[0])), high * len(rows), len(rows), len(rows[0]))
    for panels, row in zip(axes, rows, strict=True):
        before = None
        for place, panel in zip(panels, row, strict=True):
            draw_bins(place, panel.lines, axis)
            place.set_ylim(_range(panel.quantity, row))
            place.ticklabel_format(axis="y", style="plain")
            headline(place, panel.title)
            if panel.quantity is not before:
                place.set_ylabel(str(panel.quantity))
            before = panel.quantity
    if any(len(panel.lines) > 1 for row in rows for panel in row):
        legend(figure)
    return figure


def _range(quantity: Quantity, row: list[Panel]) -> tuple[float, float]:
    lines = [line for panel in row if panel.quantity is quantity for line in panel.lines.values()]
    return (range_to_one if _to_one(quantity) else range_from_zero)([ratio for line in lines for ratio in line.ratios])


def _to_one(quantity: Quantity) -> bool:
    return quantity in {Quantity.EFFICIENCY, Quantity.EDGE_EFFICIENCY}


def captions(evaluations: Sequence[Evaluation]) -> Mapping[str, str]:
    """What each plot shows, by its name."""
    of_whom = "of each finder" if len(finders_of(evaluations)) > 1 else "of the tracks"
    binned = {name: f"{str(quantity).capitalize()} by {axis.title}" for name, (quantity, axis) in BINNED.items()}
    rates = {RATES: "Fake rate by the candidate's η, duplicate rate by the particle's"}
    return {SAMPLES: f"Efficiencies, rates and time {of_whom} in every sample"} | binned | rates


def samples_plot(evaluations: Sequence[Evaluation]) -> Figure:
    """Efficiency in the three matchings, fake and duplicate rate and time against µ, or for each sample as it comes.

    A set of points for each finder. Each panel has its own range.
    """
    places = _places(samples_of(evaluations))
    figure, axes = new_figure(13.0, 7.0, 2, 3)
    for panel, name in zip(axes.flat, SAMPLE_FIGURES, strict=False):
        _draw_ratios(panel, evaluations, name, places)
        panel.set_ylim(range_of_intervals([getattr(one.result.tracks, name) for one in evaluations]))
        panel.ticklabel_format(axis="y", style="plain")
        headline(panel, TITLES[name])
    time = axes[1, 2]
    _draw_times(time, evaluations, places)
    headline(time, "median time per event / ms")
    for panel in axes.flat:
        _sample_axis(panel, samples_of(evaluations), places)
    if len(finders_of(evaluations)) > 1:
        legend(figure)
    return figure


def _places(samples: Sequence[Sample]) -> dict[Sample, float]:
    """µ of each sample, or if one does not tell it, its number among them."""
    pileup = {sample: sample.pileup for sample in samples}
    known = {sample: number for sample, number in pileup.items() if number is not None}
    return known if len(known) == len(samples) else {sample: float(place) for place, sample in enumerate(samples)}


def _draw_ratios(panel: Axes, evaluations: Sequence[Evaluation], name: str, places: dict[Sample, float]) -> None:
    for finder, look in zip(finders_of(evaluations), looks(), strict=False):
        mine = [one for one in evaluations if one.finder.name == finder]
        points = [(places[one.sample], 0.0, 0.0, getattr(one.result.tracks, name)) for one in mine]
        draw_points(panel, sorted(points, key=itemgetter(0)), **look, label=finder, linestyle=_line(places))


def _draw_times(panel: Axes, evaluations: Sequence[Evaluation], places: dict[Sample, float]) -> None:
    panel.set_yscale("log")
    panel.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    panel.yaxis.set_minor_locator(NullLocator())
    panel.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,g}"))
    for finder, look in zip(finders_of(evaluations), looks(), strict=False):
        mine = [(places[one.sample], one.result.median_ms) for one in evaluations if one.finder.name == finder]
        points = sorted(point for point in mine if not isnan(point[1]))
        if points:
            panel.plot(*zip(*points, strict=True), **look, label=finder, linewidth=1.4, linestyle=_line(places))


def _line(places: dict[Sample, float]) -> str:
    """Lines join points of µ alone: between samples of other names there is nothing."""
    return "-" if _are_pileup(places) else ""


def _are_pileup(places: dict[Sample, float]) -> bool:
    return all(sample.pileup is not None for sample in places)


def _sample_axis(panel: Axes, samples: Sequence[Sample], places: dict[Sample, float]) -> None:
    """A scale of µ, or the samples' names."""
    panel.grid(axis="y")
    panel.xaxis.set_minor_locator(NullLocator())
    if _are_pileup(places):
        least, most = min(places.values()), max(places.values())
        span = max(most - least, 1.0)
        panel.set_xlabel("µ, mean number of pile-up collisions")
        panel.set_xlim(least - 0.06 * span, most + 0.06 * span)
        return
    panel.set_xticks(list(places.values()), [sample.name for sample in samples], rotation=20, ha="right")
    panel.set_xlim(-0.5, len(samples) - 0.5)
