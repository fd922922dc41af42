"""How a measured series is drawn: its look, and its medians with bars over their range."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from exatrkx_perf.style import MODEL_COLOURS, MODEL_MARKERS, OTHER_COLOURS
from exatrkx_perf.tables import short

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from matplotlib.axes import Axes

    from exatrkx_perf.comparison import Series
    from exatrkx_perf.spread import Spread


def look(series: Series, every: Sequence[Series]) -> dict[str, Any]:
    """Colour, marker and label of a series; what a Python backend serves has open markers.

    Args:
        series: what is drawn.
        every: all that are drawn, which decides the colours of models that have none of their own.
    """
    others = [one.model for one in every if one.model not in MODEL_COLOURS]
    own = MODEL_COLOURS.get(series.model)
    return {
        "color": own or OTHER_COLOURS[others.index(series.model) % len(OTHER_COLOURS)],
        "marker": MODEL_MARKERS.get(series.model, "^"),
        "markerfacecolor": "white" if "(python)" in short(series) else None,
        "label": short(series),
    }


def draw_spreads(panel: Axes, points: Iterable[tuple[float, Spread | None]], **how: Any) -> None:
    """Draw medians at their places, with bars over the range of the repeats; places without a value are left out."""
    drawn = [(place, spread) for place, spread in points if spread is not None]
    if not drawn:
        return
    ranges = np.array([[spread.median - spread.low, spread.high - spread.median] for _, spread in drawn]).T
    places, medians = [place for place, _ in drawn], [spread.median for _, spread in drawn]
    panel.errorbar(places, medians, yerr=ranges, linewidth=1.6, elinewidth=1.2, capsize=2.5, **how)
