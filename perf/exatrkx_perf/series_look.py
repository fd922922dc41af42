"""Look of a measured series in every plot: colour, marker, label, and bars over the range of its repeats."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from exatrkx.contract import CUSTOM, ENSEMBLE
from exatrkx_perf.points import COMPILED_ENSEMBLE, DIRECT
from exatrkx_perf.tables import short

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from matplotlib.axes import Axes

    from exatrkx_perf.comparison import Series
    from exatrkx_perf.median_range import MedianRange

MODEL_COLOURS: Final = {
    DIRECT: "#5b6470",
    CUSTOM.name: "#0072b2",
    COMPILED_ENSEMBLE: "#e69f00",
    ENSEMBLE.name: "#d55e00",
}
OTHER_COLOURS: Final = ("#009e73", "#cc79a7", "#56b4e9", "#f0e442")
MODEL_MARKERS: Final = {DIRECT: "s", CUSTOM.name: "D", COMPILED_ENSEMBLE: "^", ENSEMBLE.name: "o"}


def look(series: Series, every: Sequence[Series]) -> dict[str, Any]:
    """Colour, marker and label of one of the drawn series; what a Python backend serves has open markers."""
    others = [one.model for one in every if one.model not in MODEL_COLOURS]
    own = MODEL_COLOURS.get(series.model)
    return {
        "color": own or OTHER_COLOURS[others.index(series.model) % len(OTHER_COLOURS)],
        "marker": MODEL_MARKERS.get(series.model, "^"),
        "markerfacecolor": "white" if "(python)" in short(series) else None,
        "label": short(series),
    }


def draw_ranges(panel: Axes, points: Iterable[tuple[float, MedianRange | None]], **how: Any) -> None:
    """Draw medians at their places, with bars over the range of the repeats; places without a value are left out."""
    drawn = [(place, value) for place, value in points if value is not None]
    if not drawn:
        return
    ranges = np.array([[value.median - value.low, value.high - value.median] for _, value in drawn]).T
    places, medians = [place for place, _ in drawn], [value.median for _, value in drawn]
    panel.errorbar(places, medians, yerr=ranges, linewidth=1.6, elinewidth=1.2, capsize=2.5, **how)
