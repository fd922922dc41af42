"""The plots of a validation: efficiencies and rates in bins, with 95 % intervals, and against the samples."""

from __future__ import annotations

import re
from collections.abc import Mapping
from itertools import cycle
from operator import itemgetter
from statistics import median
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from exatrkx.plot_style import COLOURS, headline, new_figure, save, style
from exatrkx.report import TRACK_ROWS
from exatrkx.validation.binned import Quantity
from exatrkx.validation.binning import ETA, PT, RADIUS, BinnedRatio

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from exatrkx.intervals import Ratio
    from exatrkx.validation.binning import Axis
    from exatrkx.validation.sums import Validation

    Results = Mapping[str, Validation]

MARKERS: Final = ("o", "s", "D", "^", "v", "P")
PILEUP: Final = re.compile(r"(?:µ|μ|mu)\s*=?\s*(\d+(?:\.\d+)?)\s*$", re.IGNORECASE)
"""How a sample's name ends when it says the mean number of pile-up collisions."""

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

_TICKS: Final = {PT.name: (1, 2, 5, 10, 20, 50, 100, 200), RADIUS.name: (0, 0.1, 1, 10, 100)}


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
        nothing = BinnedRatio.zero(axis)
        panels = {kind: {name: of_sample.get(kind, nothing) for name, of_sample in binned.items()} for kind in kinds}
    wide = 7.0 if len(panels) == 1 else 1.0 + 4.0 * len(panels)
    figure, axes = new_figure(wide, 4.6, 1, len(panels), sharey=True)
    for panel, (kind, lines) in zip(axes.flat, panels.items(), strict=True):
        _lines(panel, lines, axis)
        headline(panel, kind or f"{next(iter(binned))}: {selection}")
    _zoom_on_one(axes[0, 0], [ratio for lines in panels.values() for line in lines.values() for ratio in line.ratios])
    axes[0, 0].set_ylabel(str(quantity))
    _legend(axes[0, 0], "lower left")
    return figure


def rates_plot(results: Results) -> Figure:
    """Fake rate by the candidates' η, and duplicate rate by the particles'; a colour for each sample."""
    whose = {Quantity.FAKE_RATE: "mean η of the candidate's spacepoints", Quantity.DUPLICATE_RATE: "η of the particle"}
    figure, axes = new_figure(10.0, 4.4, 1, 2)
    for panel, (quantity, meaning) in zip(axes.flat, whose.items(), strict=True):
        nothing = BinnedRatio.zero(ETA)
        lines = {sample: result.binned.kinds(quantity, ETA).get("", nothing) for sample, result in results.items()}
        _lines(panel, lines, ETA)
        _zoom_on_zero(panel, [ratio for line in lines.values() for ratio in line.ratios])
        alone = f"{next(iter(results))}: " if len(results) == 1 else ""
        headline(panel, f"{alone}{meaning}")
        panel.set_ylabel(str(quantity))
    if len(results) > 1:
        _legend(axes[0, 0], "upper left")
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
            points = [(place, 0.0, 0.0, ratio) for place, ratio in zip(places, ratios, strict=True)]
            _draw(
                panel,
                sorted(points, key=itemgetter(0)),
                **next(looks),
                label=titles[name],
                linestyle="-" if known else "",
            )
            drawn += ratios
        (_zoom_on_one if names is _EFFICIENCIES else _zoom_on_zero)(panel, drawn)
        _legend(panel, "best")
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
        panel.set_xlabel("µ, mean number of pile-up collisions")
        span = max(max(places) - min(places), 1.0)
        panel.set_xlim(min(places) - 0.06 * span, max(places) + 0.06 * span)
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
        panel.xaxis.set_major_locator(FixedLocator(_TICKS[axis.name]))
        panel.xaxis.set_minor_locator(NullLocator())
        panel.xaxis.set_major_formatter(FuncFormatter(lambda place, _: f"{place:g}"))
    apart = min(0.16, 0.8 / max(1, len(lines)))
    for place, ((name, line), look) in enumerate(zip(lines.items(), _looks(), strict=False)):
        part = 0.5 + apart * (place - (len(lines) - 1) / 2)
        points = []
        for (low, high), ratio in zip(axis.bins, line.ratios, strict=True):
            along = low * (high / low) ** part if scale and low else low + part * (high - low)
            points.append((along, along - low, high - along, ratio))
        _draw(panel, points, **look, label=name, linestyle="")
    counted = [
        edge
        for line in lines.values()
        for edges, ratio in zip(axis.bins, line.ratios, strict=True)
        if ratio.denominator
        for edge in edges
    ]
    if counted:
        panel.set_xlim(min(counted), max(counted))
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


def _legend(panel: Axes, place: Literal["lower left", "upper left", "best"]) -> None:
    """A legend, unless nothing was drawn: matplotlib warns of an empty one."""
    if panel.get_legend_handles_labels()[0]:
        panel.legend(loc=place)


def _zoom_on_one(panel: Axes, ratios: Iterable[Ratio]) -> None:
    """From below the smallest value to a little above 1, with room for a legend below."""
    least = min((ratio.value for ratio in ratios if ratio.denominator), default=0.0)
    panel.set_ylim(max(0.0, 1.0 - 1.9 * max(1.0 - least, 0.02)), 1.0 + 0.1 * max(1.0 - least, 0.02))


def _zoom_on_zero(panel: Axes, ratios: Iterable[Ratio]) -> None:
    """From just below 0 to above the largest value and most intervals; those of nearly empty bins would flatten all."""
    counted = [ratio for ratio in ratios if ratio.denominator]
    if not counted:
        return
    most = 2.0 * median(ratio.interval[1] for ratio in counted)
    top = min(1.05, max(most, 1.4 * max(ratio.value for ratio in counted)))
    panel.set_ylim(-0.03 * top, top)
