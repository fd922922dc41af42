"""Where the time of one event goes: stacked bars of the steps, one bar for each way of running the pipeline."""

from __future__ import annotations

from collections import defaultdict
from statistics import fmean
from typing import TYPE_CHECKING, Final

from matplotlib.patches import Patch
from matplotlib.ticker import NullLocator

from exatrkx.contract import CUSTOM
from exatrkx.reporting.plot_style import FAINT, headline, new_figure
from exatrkx_perf.comparison import Series, rank
from exatrkx_perf.errors import ResultsError
from exatrkx_perf.results import UNEXPLAINED
from exatrkx_perf.tables import counted, short

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from exatrkx_perf.results import PointStep

# One colour for each step, in the order in which an event passes them: networks warm or blue, graph steps green.
STEP_COLOURS: Final = {
    "embed": "#9ecae1",
    "frnn": "#74c476",
    "filter": "#4292c6",
    "applyfilter": "#a1d99b",
    "gnn": "#084594",
    "wcc": "#31a354",
    "exatrkx_custom": "#6baed6",
    "queue": "#fdae6b",
    "input and output": "#e6550d",
    "unexplained": "#bdbdbd",
}
_OTHER_STEP: Final = "#c7e9c0"
_SMALLEST_LABEL: Final = 0.05
"""A segment shorter than this fraction of the axis has no room for its number."""


def step_plot(steps: Sequence[PointStep], threads: int = 1) -> Figure:
    """One client, one instance of each model; means over the repeats.

    Raises:
        ResultsError: there is no such point.
    """
    bars: dict[Series, list[PointStep]] = defaultdict(list)
    for entry in steps:
        if entry.point.plain and entry.point.is_single_client(threads):
            bars[Series(entry.point.model, entry.point.backends)].append(entry)
    if not bars:
        raise ResultsError(f"no point with one request in flight, one instance and {threads} threads")
    ordered = sorted(bars, key=rank)
    figure, axes = new_figure(10.0, 1.7 + 0.75 * len(bars))
    panel = axes[0, 0]
    segments = [segments_of(bars[series]) for series in ordered]
    longest = max(sum(max(length, 0.0) for length in bar.values()) for bar in segments)
    panel.set_xlim(0.0, 1.12 * longest)
    for place, bar in enumerate(segments):
        _draw(panel, place, bar, longest)
    panel.set_yticks(range(len(ordered)), [short(series) for series in ordered])
    panel.set_ylim(len(ordered) - 0.4, -0.6)
    panel.yaxis.set_minor_locator(NullLocator())
    panel.tick_params(axis="y", length=0)
    panel.set_xlabel("ms for one event")
    headline(panel, f"one client, one instance, {counted(threads, 'thread')} in each process")
    _legend(figure, segments)
    return figure


def segments_of(entries: Sequence[PointStep]) -> dict[str, float]:
    """Mean ms of each segment of a bar: every step's computing, then all queues, all transfers, and the rest.

    What is left unexplained is below zero where a step's answer goes on before the step has ended; it is then taken
    off the transfers, with which it overlaps, so that the segments add up to the request.
    """
    rows: dict[str, list[PointStep]] = defaultdict(list)
    for entry in entries:
        rows[entry.time.step].append(entry)

    def mean(step: str, column: str) -> float:
        return fmean(float(getattr(entry.time, column)) for entry in rows[step])

    computing = [step for step in rows if step != UNEXPLAINED]
    segments = {step: mean(step, "compute_infer_ms") for step in computing}
    segments["queue"] = sum(mean(step, "queue_ms") for step in computing)
    transfers = sum(mean(step, column) for step in computing for column in ("compute_input_ms", "compute_output_ms"))
    rest = mean(UNEXPLAINED, "total_ms") if UNEXPLAINED in rows else 0.0
    segments["input and output"] = transfers + min(rest, 0.0)
    segments[UNEXPLAINED] = max(rest, 0.0)
    return segments


def _draw(panel: Axes, place: int, bar: dict[str, float], longest: float) -> None:
    left = 0.0
    for name, length in bar.items():
        if length <= 0.0:
            continue
        colour = STEP_COLOURS.get(name, _OTHER_STEP)
        panel.barh(place, length, left=left, height=0.62, color=colour, edgecolor="white", linewidth=0.8)
        if length > _SMALLEST_LABEL * longest:
            ink = "white" if _dark(colour) else "black"
            panel.text(left + length / 2, place, f"{length:.1f}", ha="center", va="center", color=ink, fontsize=10)
        left += length
    panel.text(
        left + 0.01 * longest, place, f"{sum(bar.values()):.1f}", ha="left", va="center", color=FAINT, fontsize=11
    )


def _dark(colour: str) -> bool:
    red, green, blue = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
    return 0.299 * red + 0.587 * green + 0.114 * blue < 128  # noqa: PLR2004 - half of the luma of BT.601


def _legend(figure: Figure, segments: Sequence[dict[str, float]]) -> None:
    names = list(dict.fromkeys(name for bar in segments for name, length in bar.items() if length > 0.0))
    names.sort(key=lambda name: list(STEP_COLOURS).index(name) if name in STEP_COLOURS else 0)
    handles = [Patch(color=STEP_COLOURS.get(name, _OTHER_STEP)) for name in names]
    labels = ["whole pipeline" if name == CUSTOM.name else name for name in names]
    figure.legend(handles, labels, loc="outside lower center", ncols=5, columnspacing=1.4, handlelength=1.2)
