"""The plots of a validation: efficiencies and rates in bins, with 95 % intervals, and against the samples."""

from __future__ import annotations

import re
from collections.abc import Mapping
from itertools import cycle
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from matplotlib.ticker import FixedLocator, NullLocator, ScalarFormatter

from exatrkx.plot_style import COLOURS, headline, new_figure, save, style
from exatrkx.validation.binned import Quantity
from exatrkx.validation.binning import ETA, PT, RADIUS
from exatrkx.validation.report import TRACK_ROWS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from exatrkx.intervals import Ratio
    from exatrkx.validation.binning import Axis, BinnedRatio
    from exatrkx.validation.sums import Validation

    Results = Mapping[str, Validation]

MARKERS: Final = ("o", "s", "D", "^", "v", "P")
PILEUP: Final = re.compile(r"(?:µ|μ|mu)\s*=?\s*(\d+(?:\.\d+)?)\s*$", re.IGNORECASE)
"""How a sample's name ends when it says the mean number of simultaneous collisions."""

_BINNED: Final = {
    "efficiency_pt": (Quantity.EFFICIENCY, PT),
    "efficiency_eta": (Quantity.EFFICIENCY, ETA),
    "efficiency_radius": (Quantity.EFFICIENCY, RADIUS),
    "edge_efficiency_pt": (Quantity.EDGE_EFFICIENCY, PT),
    "edge_efficiency_eta": (Quantity.EDGE_EFFICIENCY, ETA),
}
"""Plots of several matchings or stages, by the names of their files."""

_EFFICIENCIES: Final = ("efficiency_double_majority", "efficiency_lhc", "efficiency_perfect")
_RATES: Final = ("fake_rate", "duplicate_rate")
_SCALES: Final[dict[str, dict[str, Any]]] = {
    PT.name: {"value": "log"},
    RADIUS.name: {"value": "symlog", "linthresh": RADIUS.edges[1], "linscale": 0.6},
}
"""Of the axes that are not linear."""


def write_plots(results: Results, folder: Path) -> list[Path]:
    """Draw all of which something was counted, as PNG. Returns the files.

    Args:
        results: of each sample, by its name.
        folder: made if it is not there.

    Raises:
        ExatrkxError: mplhep is not installed.
    """
    written = []
    with style():
        for name, figure in _figures(results).items():
            path = folder / f"{name}.png"
            save(figure, path)
            written.append(path)
    return written


def _figures(results: Results) -> dict[str, Figure]:
    figures = {}
    for name, (quantity, axis) in _BINNED.items():
        binned = {sample: result.binned.kinds(quantity, axis) for sample, result in results.items()}
        if any(binned.values()):
            figures[name] = binned_plot(binned, quantity, axis, _selection(results))
    if any(result.candidates for result in results.values()):
        figures["rates_eta"] = rates_plot(results)
    if len(results) > 1:
        figures["samples"] = samples_plot(results)
    return figures


def binned_plot(binned: Mapping[str, dict[str, BinnedRatio]], quantity: Quantity, axis: Axis, selection: str) -> Figure:
    """A quantity in bins: of one sample all matchings or stages together, of several a panel for each of them.

    Args:
        binned: of each sample, by its name: of each matching or stage, by its name.
        quantity: what was counted.
        axis: in bins of what.
        selection: of which particles, for the headline.
    """
    if len(binned) == 1:
        panels = {"": next(iter(binned.values()))}
    else:
        kinds = dict.fromkeys(kind for of_sample in binned.values() for kind in of_sample)
        panels = {kind: {s: of_sample[kind] for s, of_sample in binned.items() if kind in of_sample} for kind in kinds}
    wide = 7.0 if len(panels) == 1 else 1.0 + 4.0 * len(panels)
    figure, axes = new_figure(wide, 4.6, 1, len(panels), sharey=True)
    for panel, (kind, lines) in zip(axes.flat, panels.items(), strict=True):
        _lines(panel, lines, axis)
        headline(panel, kind or f"{next(iter(binned))}: {selection}")
    _zoom_on_one(axes[0, 0], [ratio for lines in panels.values() for line in lines.values() for ratio in line.ratios])
    axes[0, 0].set_ylabel(str(quantity))
    axes[0, 0].legend(loc="lower left")
    return figure


def rates_plot(results: Results) -> Figure:
    """Fake rate by the candidates' η, and duplicate rate by the particles'; a colour for each sample."""
    whose = {Quantity.FAKE_RATE: "mean of the candidate's spacepoints", Quantity.DUPLICATE_RATE: "of the particle"}
    figure, axes = new_figure(10.0, 4.4, 1, 2)
    for panel, (quantity, meaning) in zip(axes.flat, whose.items(), strict=True):
        lines = {sample: result.binned.kinds(quantity, ETA) for sample, result in results.items()}
        _lines(panel, {sample: kinds[""] for sample, kinds in lines.items() if kinds}, ETA)
        _zoom_on_zero(panel, [ratio for kinds in lines.values() for line in kinds.values() for ratio in line.ratios])
        headline(panel, f"η {meaning}")
        panel.set_ylabel(str(quantity))
    axes[0, 0].legend(loc="upper left")
    return figure


def samples_plot(results: Results) -> Figure:
    """Efficiency in the three matchings, fake and duplicate rate against pile-up, or for each sample as it comes."""
    pileup = [PILEUP.search(sample) for sample in results]
    numbers = [float(found[1]) for found in pileup if found]
    known = len(numbers) == len(results)
    places = numbers if known else [float(place) for place in range(len(results))]
    titles = {name: title for title, name, _ in TRACK_ROWS}
    figure, axes = new_figure(7.0, 7.0, 2, 1, sharex=True, height_ratios=(3, 2))
    for panel, names in zip(axes.flat, (_EFFICIENCIES, _RATES), strict=True):
        looks = _looks()
        drawn = []
        for name in names:
            ratios = [getattr(result.tracks, name) for result in results.values()]
            points = sorted((place, 0.0, 0.0, ratio) for place, ratio in zip(places, ratios, strict=True))
            _draw(panel, points, **next(looks), label=titles[name], linestyle="-" if known else "")
            drawn += ratios
        (_zoom_on_one if names is _EFFICIENCIES else _zoom_on_zero)(panel, drawn)
        panel.legend(loc="best")
        panel.grid(axis="y")
    axes[0, 0].set_ylabel("track efficiency")
    axes[1, 0].set_ylabel("rate")
    headline(axes[0, 0], _selection(results))
    _sample_ticks(axes[1, 0], places, None if known else list(results))
    return figure


def _sample_ticks(panel: Axes, places: list[float], names: list[str] | None) -> None:
    """A scale of µ, or the samples' names."""
    panel.xaxis.set_minor_locator(NullLocator())
    if names is None:
        panel.set_xlabel("µ, mean number of simultaneous collisions")
        panel.set_xmargin(0.06)
        return
    panel.set_xticks(places, names)
    panel.set_xlim(-0.5, len(places) - 0.5)


def _selection(results: Results) -> str:
    return str(next(iter(results.values())).selection)


def _looks() -> Iterator[dict[str, Any]]:
    return ({"color": colour, "marker": marker} for colour, marker in zip(cycle(COLOURS), cycle(MARKERS)))


def _lines(panel: Axes, lines: Mapping[str, BinnedRatio], axis: Axis) -> None:
    """One set of points for each line, beside each other within the bin."""
    scale = _SCALES.get(axis.name)
    if scale:
        panel.set_xscale(**scale)
        panel.xaxis.set_major_locator(FixedLocator([edge for edge in axis.edges if edge]))
        panel.xaxis.set_minor_locator(NullLocator())
        panel.xaxis.set_major_formatter(ScalarFormatter())
    apart = min(0.16, 0.8 / max(1, len(lines)))
    for place, ((name, line), look) in enumerate(zip(lines.items(), _looks(), strict=False)):
        part = 0.5 + apart * (place - (len(lines) - 1) / 2)
        points = []
        for (low, high), ratio in zip(axis.bins, line.ratios, strict=True):
            along = low * (high / low) ** part if scale and low else low + part * (high - low)
            points.append((along, along - low, high - along, ratio))
        _draw(panel, points, **look, label=name, linestyle="")
    panel.set_xlim(axis.edges[0], axis.edges[-1])
    panel.set_xlabel(axis.label)
    panel.grid(axis="y")


def _draw(panel: Axes, points: Iterable[tuple[float, float, float, Ratio]], **how: Any) -> None:
    """Points with bars over bin and 95 % interval; those of which nothing was counted are left out.

    Args:
        panel: where to draw.
        points: each one's place, how far its bin goes to the left and to the right, and its ratio.
        how: colour, marker, label and line.
    """
    drawn = [point for point in points if point[-1].denominator]
    if not drawn:
        return
    values = np.array([ratio.value for *_, ratio in drawn])
    intervals = np.array([ratio.interval for *_, ratio in drawn])
    vertical = np.abs(intervals - values[:, None]).T  # rounding can leave an end on the wrong side by 1e-17
    horizontal = np.array([[left, right] for _, left, right, _ in drawn]).T
    places = [place for place, *_ in drawn]
    panel.errorbar(places, values, yerr=vertical, xerr=horizontal, linewidth=1.4, elinewidth=1.1, capsize=0, **how)


def _zoom_on_one(panel: Axes, ratios: Iterable[Ratio]) -> None:
    """From below the smallest value to a little above 1, with room for a legend below."""
    least = min((ratio.value for ratio in ratios if ratio.denominator), default=0.0)
    panel.set_ylim(max(0.0, 1.0 - 1.9 * max(1.0 - least, 0.02)), 1.0 + 0.1 * max(1.0 - least, 0.02))


def _zoom_on_zero(panel: Axes, ratios: Iterable[Ratio]) -> None:
    """From 0 to well above the largest value, with room for a legend above."""
    largest = max((ratio.value for ratio in ratios if ratio.denominator), default=0.0)
    panel.set_ylim(0.0, min(1.05, 1.8 * max(largest, 0.005)))
