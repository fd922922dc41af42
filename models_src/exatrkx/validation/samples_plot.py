"""The plot that has the samples on its axis: efficiencies, rates and time against pile-up."""

from __future__ import annotations

from math import isnan
from operator import itemgetter
from typing import TYPE_CHECKING, Final

from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from exatrkx.reporting.plot_style import headline, new_figure
from exatrkx.validation.judged import finders_of, samples_of
from exatrkx.validation.panels import draw_points, legend, looks, range_of_intervals

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from exatrkx.validation.judged import Judged, Sample

_EFFICIENCIES: Final = {
    "efficiency_double_majority": "efficiency, double majority",
    "efficiency_lhc": "efficiency, LHC",
    "efficiency_perfect": "efficiency, perfect",
}
_RATES: Final = {"fake_rate": "fake rate", "duplicate_rate": "duplicate rate"}


def samples_plot(judged: Sequence[Judged]) -> Figure:
    """Efficiency in the three matchings, fake and duplicate rate and time against µ, or for each sample as it comes.

    A set of points for each finder. Each panel has its own range.
    """
    places = _places(samples_of(judged))
    figure, axes = new_figure(13.0, 7.0, 2, 3)
    for row, names in ((axes[0], _EFFICIENCIES), (axes[1, :2], _RATES)):
        for panel, (name, title) in zip(row, names.items(), strict=True):
            _draw_ratios(panel, judged, name, places)
            panel.set_ylim(range_of_intervals([getattr(one.result.tracks, name) for one in judged]))
            panel.ticklabel_format(axis="y", style="plain")
            headline(panel, title)
    time = axes[1, 2]
    _draw_times(time, judged, places)
    headline(time, "median time per event / ms")
    for panel in axes.flat:
        _sample_axis(panel, samples_of(judged), places)
    if len(finders_of(judged)) > 1:
        legend(figure)
    return figure


def _places(samples: Sequence[Sample]) -> dict[Sample, float]:
    """µ of each sample, or if one does not tell it, its number among them."""
    pileup = {sample: sample.pileup for sample in samples}
    known = {sample: number for sample, number in pileup.items() if number is not None}
    return known if len(known) == len(samples) else {sample: float(place) for place, sample in enumerate(samples)}


def _draw_ratios(panel: Axes, judged: Sequence[Judged], name: str, places: dict[Sample, float]) -> None:
    for finder, look in zip(finders_of(judged), looks(), strict=False):
        mine = [one for one in judged if one.finder.name == finder]
        points = [(places[one.sample], 0.0, 0.0, getattr(one.result.tracks, name)) for one in mine]
        draw_points(panel, sorted(points, key=itemgetter(0)), **look, label=finder, linestyle=_line(places))


def _draw_times(panel: Axes, judged: Sequence[Judged], places: dict[Sample, float]) -> None:
    panel.set_yscale("log")
    panel.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    panel.yaxis.set_minor_locator(NullLocator())
    panel.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,g}"))
    for finder, look in zip(finders_of(judged), looks(), strict=False):
        mine = [(places[one.sample], one.result.median_ms) for one in judged if one.finder.name == finder]
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
