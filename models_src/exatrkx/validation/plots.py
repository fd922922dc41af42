"""The plots of a validation: efficiencies and rates in bins, with 95 % intervals, and against the samples."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from exatrkx.reporting.plot_style import headline, new_figure, save_small, style
from exatrkx.validation.binned import Quantity
from exatrkx.validation.binning import ETA, PT, RADIUS, BinnedRatio
from exatrkx.validation.images import RATES, SAMPLES
from exatrkx.validation.judged import finders_of, samples_of
from exatrkx.validation.panels import draw_bins, legend, range_from_zero, range_to_one
from exatrkx.validation.samples_plot import samples_plot

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from matplotlib.figure import Figure

    from exatrkx.validation.binning import Axis
    from exatrkx.validation.judged import Judged

BINNED: Final = {
    "efficiency_pt": (Quantity.EFFICIENCY, PT),
    "efficiency_eta": (Quantity.EFFICIENCY, ETA),
    "efficiency_radius": (Quantity.EFFICIENCY, RADIUS),
    "edge_efficiency_pt": (Quantity.EDGE_EFFICIENCY, PT),
    "edge_efficiency_eta": (Quantity.EDGE_EFFICIENCY, ETA),
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


def write_plots(judged: Sequence[Judged], folder: Path) -> dict[str, Path]:
    """Draw all of which something was counted, as PNG. Returns the files by the names of the plots.

    Args:
        judged: each finder in each sample.
        folder: made if it is not there.

    Raises:
        ExatrkxError: mplhep is not installed.
    """
    written = {}
    with style():
        for name, figure in _figures(judged).items():
            written[name] = folder / f"{name}.png"
            save_small(figure, written[name])
    return written


def _figures(judged: Sequence[Judged]) -> dict[str, Figure]:
    figures = {}
    for name, (quantity, axis) in BINNED.items():
        counted = [one for one in judged if one.result.binned.kinds(quantity, axis)]
        if counted:
            figures[name] = binned_plot(counted, quantity, axis)
    if any(one.result.candidates for one in judged):
        figures[RATES] = rates_plot(judged)
    if len(samples_of(judged)) > 1:
        figures[SAMPLES] = samples_plot(judged)
    return figures


def binned_plot(judged: Sequence[Judged], quantity: Quantity, axis: Axis) -> Figure:
    """A quantity in bins, a panel for each matching or stage; of one finder in one sample all in one panel.

    Args:
        judged: of which something was counted.
        quantity: what was counted.
        axis: in bins of what.
    """
    kinds = list(dict.fromkeys(kind for one in judged for kind in one.result.binned.kinds(quantity, axis)))
    if len(judged) == 1:
        only = judged[0]
        title = f"{only.sample.name}: {only.result.selection}"
        return _drawn([[Panel(title, quantity, only.result.binned.kinds(quantity, axis))]], axis)
    return _drawn(_grid(judged, [(kind, quantity, kind) for kind in kinds], axis), axis)


def rates_plot(judged: Sequence[Judged]) -> Figure:
    """Fake rate by the candidates' η, and duplicate rate by the particles'."""
    return _drawn(_grid(judged, [(title, quantity, "") for quantity, title in WHOSE_ETA.items()], ETA), ETA)


def _grid(judged: Sequence[Judged], figures: Sequence[tuple[str, Quantity, str]], axis: Axis) -> list[list[Panel]]:
    """Panels in rows: a line for each finder, or where there is but one, for each sample.

    Of several finders in several samples, each figure has a row, and each sample a column; else a row has all figures.

    Args:
        judged: each finder in each sample.
        figures: title, quantity, and matching or stage.
        axis: in bins of what.
    """
    several, samples = len(finders_of(judged)) > 1, samples_of(judged)
    if several and len(samples) > 1:
        columns = [(sample.name, [one for one in judged if one.sample == sample]) for sample in samples]
        return [
            [Panel(f"{name}: {title}", quantity, _lines(ones, quantity, kind, axis, several)) for name, ones in columns]
            for title, quantity, kind in figures
        ]
    alone = f"{samples[0].name}: " if len(samples) == 1 else ""
    return [
        [
            Panel(f"{alone}{title}", quantity, _lines(judged, quantity, kind, axis, several))
            for title, quantity, kind in figures
        ]
    ]


def _lines(
    judged: Sequence[Judged], quantity: Quantity, kind: str, axis: Axis, by_finder: bool
) -> dict[str, BinnedRatio]:
    nothing = BinnedRatio.zero(axis)
    return {
        one.finder.name if by_finder else one.sample.name: one.result.binned.kinds(quantity, axis).get(kind, nothing)
        for one in judged
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


def captions(judged: Sequence[Judged]) -> Mapping[str, str]:
    """What each plot shows, by its name."""
    of_whom = "of each finder" if len(finders_of(judged)) > 1 else "of the tracks"
    binned = {name: f"{str(quantity).capitalize()} by {axis.title}" for name, (quantity, axis) in BINNED.items()}
    rates = {RATES: "Fake rate by the candidate's η, duplicate rate by the particle's"}
    return {SAMPLES: f"Efficiencies, rates and time {of_whom} in every sample"} | binned | rates
