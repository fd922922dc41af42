"""Panels of a plot: sets of points with 95 % intervals, their scales, and the legend of all."""

from __future__ import annotations

from itertools import cycle
from statistics import median
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from exatrkx.reporting.plot_style import COLOURS
from exatrkx.validation.binned import DISTANCE, PT, RADIUS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from exatrkx.performance.intervals import Ratio
    from exatrkx.validation.binned import Axis, BinnedRatio

MARKERS: Final = ("o", "s", "D", "^", "v", "P")

WIDE_INTERVAL: Final = 0.5
"""An interval as wide as that says nearly nothing."""

_SCALES: Final[dict[str, dict[str, Any]]] = {
    PT.name: {"value": "log"},
    RADIUS.name: {"value": "symlog", "linthresh": RADIUS.edges[1], "linscale": 0.6},
    DISTANCE.name: {"value": "symlog", "linthresh": DISTANCE.edges[1], "linscale": 0.6},
}
"""Of the axes that are not linear."""

_TICKS: Final = {
    PT.name: (0.5, 1, 2, 5, 10, 20, 50, 100, 200),
    RADIUS.name: (0, 0.1, 1, 10, 100),
    DISTANCE.name: (0, 0.001, 0.01, 0.1, 1, 10),
}


def looks() -> Iterator[dict[str, Any]]:
    """Colour and marker of one set of points after the other."""
    return ({"color": colour, "marker": marker} for colour, marker in zip(cycle(COLOURS), cycle(MARKERS)))


def draw_bins(panel: Axes, lines: Mapping[str, BinnedRatio], axis: Axis) -> None:
    """One set of points for each line, beside each other within the bin."""
    scale = _SCALES.get(axis.name)
    if scale:
        panel.set_xscale(**scale)
        panel.xaxis.set_major_locator(FixedLocator(_TICKS[axis.name]))
        panel.xaxis.set_minor_locator(NullLocator())
        panel.xaxis.set_major_formatter(FuncFormatter(lambda place, _: f"{place:g}"))
    apart = min(0.16, 0.8 / max(1, len(lines)))
    for place, ((name, line), look) in enumerate(zip(lines.items(), looks(), strict=False)):
        part = 0.5 + apart * (place - (len(lines) - 1) / 2)
        points = []
        for (low, high), ratio in zip(axis.bins, line.ratios, strict=True):
            along = low * (high / low) ** part if scale and low else low + part * (high - low)
            points.append((along, along - low, high - along, ratio))
        draw_points(panel, points, **look, label=name, linestyle="")
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


def draw_points(panel: Axes, points: Iterable[tuple[float, float, float, Ratio]], **how: Any) -> None:
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


def legend(figure: Figure) -> None:
    """One legend of all panels, above them; none if nothing was drawn."""
    known = [panel.get_legend_handles_labels() for panel in figure.axes]
    named = {label: handle for handles, labels in known for handle, label in zip(handles, labels, strict=True)}
    if named:
        figure.legend(named.values(), named.keys(), loc="outside upper right", ncols=len(named))


def range_to_one(ratios: Iterable[Ratio]) -> tuple[float, float]:
    """From below the smallest value to a little above 1; nearly empty bins would flatten all, and may fall below."""
    counted = [ratio for ratio in ratios if ratio.denominator]
    known = [ratio for ratio in counted if ratio.interval[1] - ratio.interval[0] < WIDE_INTERVAL] or counted
    least = min((ratio.value for ratio in known), default=0.0)
    return max(0.0, 1.0 - 1.4 * max(1.0 - least, 0.02)), 1.0 + 0.1 * max(1.0 - least, 0.02)


def range_from_zero(ratios: Iterable[Ratio]) -> tuple[float, float]:
    """From just below 0 to above the largest value and most intervals; those of nearly empty bins would flatten all."""
    counted = [ratio for ratio in ratios if ratio.denominator]
    if not counted:
        return 0.0, 1.0
    most = 2.0 * median(ratio.interval[1] for ratio in counted)
    top = min(1.05, max(most, 1.4 * max(ratio.value for ratio in counted)))
    return -0.03 * top, top


def range_of_intervals(ratios: Iterable[Ratio]) -> tuple[float, float]:
    """All values with their intervals, and a little more."""
    intervals = [ratio.interval for ratio in ratios if ratio.denominator]
    low, high = min((low for low, _ in intervals), default=0.0), max((high for _, high in intervals), default=1.0)
    room = 0.06 * max(high - low, 0.001)
    return low - room, high + room
