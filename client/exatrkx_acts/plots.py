"""The result of the chain, as plots."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from matplotlib.ticker import MaxNLocator

from exatrkx.performance.selection import TARGET
from exatrkx.reporting.plot_style import COLOURS, FAINT, INK, headline, new_figure, save, style
from exatrkx.validation.panels import draw_bins
from exatrkx_acts.parameters import PARAMETERS

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import numpy.typing as npt
    from matplotlib.axes import Axes

    from exatrkx.validation.binned import BinnedRatio
    from exatrkx_acts.chain import Fits
    from exatrkx_acts.distribution import Distribution

_SHOWN_BINS: Final = 40
_RESIDUAL_WIDTHS: Final = 5.0
"""A residual is drawn up to this many of its widths."""


def write_plots(found: Mapping[str, Fits], folder: Path, title: str) -> list[Path]:
    """Draw efficiency, residuals and pulls of each finder as PNG. Returns the files.

    Raises:
        ExatrkxError: mplhep is not installed.
    """
    efficiency, parameters = folder / "efficiency.png", folder / "residuals_and_pulls.png"
    performances = {name: fits.performance for name, fits in found.items()}
    with style():
        figure, axes = new_figure(11.0, 4.4, 1, 2, sharey=True)
        _efficiency(axes[0, 0], {name: one.efficiency_eta for name, one in performances.items()})
        axes[0, 0].set_ylabel("efficiency, fitted tracks")
        headline(axes[0, 0], title)
        _efficiency(axes[0, 1], {name: one.efficiency_pt for name, one in performances.items()})
        headline(axes[0, 1], str(TARGET))
        _legend(axes[0, 0], loc="lower left", title="finder")
        save(figure, efficiency)

        figure, axes = new_figure(16.0, 6.6, 2, len(PARAMETERS))
        for column, parameter in enumerate(PARAMETERS):
            residuals = {name: one.residuals[parameter.key] for name, one in performances.items()}
            pulls = {name: one.pulls[parameter.key] for name, one in performances.items()}
            widest = max((one.width for one in residuals.values() if one.within), default=parameter.reach)
            _histograms(axes[0, column], residuals, min(_RESIDUAL_WIDTHS * widest, parameter.reach))
            axes[0, column].set_xlabel(f"{parameter.symbol} fitted − true [{parameter.unit}]")
            headline(axes[0, column], "width " + ", ".join(f"{one.width:.3g}" for one in residuals.values()))
            _histograms(axes[1, column], pulls, float(next(iter(pulls.values())).edges[-1]), unit_gaussian=True)
            axes[1, column].set_xlabel(f"pull of {parameter.symbol}")
            headline(axes[1, column], "width " + ", ".join(f"{one.width:.2f}" for one in pulls.values()))
        for row in axes:
            row[0].set_ylabel("tracks")
            _legend(row[0], loc="upper right", handlelength=1.2)
        figure.suptitle(title, x=0.01, ha="left", color=FAINT, fontsize=11)
        save(figure, parameters)
    return [efficiency, parameters]


def _legend(axes: Axes, **options: Any) -> None:
    """A legend, where there is anything: where no event has tracks, there is none."""
    if axes.get_legend_handles_labels()[0]:
        axes.legend(**options)


def _efficiency(panel: Axes, binned: Mapping[str, BinnedRatio]) -> None:
    axis = next(iter(binned.values())).axis
    draw_bins(panel, binned, axis)
    # Not the intervals' ends: a bin of a few particles would set the scale.
    ratios = [ratio for one in binned.values() for ratio in one.ratios if ratio.denominator]
    lowest = min((ratio.value for ratio in ratios), default=1.0)
    panel.set_xlim(axis.edges[0], axis.edges[-1])
    panel.set_ylim(max(0.0, min(0.9, lowest - 0.05)), 1.01)
    panel.axhline(1.0, color=FAINT, linewidth=0.8, zorder=0)


def _histograms(
    panel: Axes, distributions: Mapping[str, Distribution], reach: float, *, unit_gaussian: bool = False
) -> None:
    highest = 1.0
    for number, (name, distribution) in enumerate(distributions.items()):
        edges, counts = _rebinned(distribution, reach)
        if not number:
            panel.stairs(counts, edges, color=COLOURS[0], fill=True, alpha=0.25)
        panel.stairs(counts, edges, color=COLOURS[number], linewidth=1.4, label=name)
        highest = max(highest, float(counts.max(initial=0.0)))
    if unit_gaussian:  # of as many tracks as the last of them
        x = np.linspace(edges[0], edges[-1], 201)
        density = np.exp(-0.5 * x**2) / math.sqrt(2.0 * math.pi)
        step = edges[1] - edges[0]
        panel.plot(x, distribution.within * step * density, color=INK, linewidth=1.2, label="σ = 1")
    panel.set_xlim(edges[0], edges[-1])
    panel.set_ylim(0.0, 1.45 * highest)
    panel.xaxis.set_major_locator(MaxNLocator(5, symmetric=True))


def _rebinned(distribution: Distribution, reach: float) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Edges [C+1] and counts [C] of the bins up to about ±`reach`, with so many joined that there are about 40."""
    step = distribution.edges[1] - distribution.edges[0]
    half = len(distribution.counts) // 2
    joined = max(1, round(2.0 * reach / _SHOWN_BINS / step))
    each_side = max(1, min(round(reach / step), half) // joined)
    first, last = half - each_side * joined, half + each_side * joined
    counts = distribution.counts[first:last].reshape(-1, joined).sum(axis=1)
    return distribution.edges[first : last + 1 : joined], counts
