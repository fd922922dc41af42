"""Plots of saved results: throughput, utilisation, latency, with medians and ranges; the steps' are in `step_plot`."""

from __future__ import annotations

from itertools import cycle, product
from typing import TYPE_CHECKING, Final

from matplotlib.ticker import FixedLocator, NullLocator, ScalarFormatter

from exatrkx.reporting.plot_style import headline, new_figure, save, style
from exatrkx_perf.comparison import (
    Repeats,
    Series,
    all_series,
    by_sample,
    configurations,
    gather,
    plain,
    saturation,
    single_client,
)
from exatrkx_perf.errors import ResultsError
from exatrkx_perf.points import DIRECT, Configuration
from exatrkx_perf.sample_plot import sample_plot
from exatrkx_perf.series_look import draw_ranges, look
from exatrkx_perf.step_plot import step_plot
from exatrkx_perf.tables import counted

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from exatrkx_perf.results import PointStep, Result

PERCENTILES: Final = {"p50_ms": "50 %", "p90_ms": "90 %", "p95_ms": "95 %", "p99_ms": "99 %"}
_ONE_ROW: Final = 4
_LINES: Final = ("-", "--", ":", "-.")


def write_plots(results: Sequence[Result], steps: Sequence[PointStep], folder: Path, suffix: str = "png") -> list[Path]:
    """Draw every plot for which there is something to draw, in the format that the suffix names.

    Returns:
        The files written.

    Raises:
        ExatrkxError: mplhep is not installed.
    """
    every = gather(results)
    threads = sorted({one.threads for one in configurations(plain(every))} - {0}) or [1]
    drawings: dict[str, Callable[[], Figure]] = {
        "throughput": lambda: throughput_plot(every),
        "instances": lambda: instances_plot(every),
        "latency": lambda: latency_plot(every),
        "steps": lambda: step_plot(steps, threads[0]),
    }
    if len(by_sample(every)) > 1:  # whose figures are not comparable
        drawings = {"samples": lambda: sample_plot(every)}
    written = []
    with style():
        for name, draw in drawings.items():
            try:
                save(draw(), folder / f"{name}.{suffix}")
            except ResultsError:  # nothing of this kind was measured
                continue
            written.append(folder / f"{name}.{suffix}")
    return written


def throughput_plot(every: Sequence[Repeats]) -> Figure:
    """Events per second against requests in flight: a panel for each configuration.

    Raises:
        ResultsError: there is nothing to show.
    """
    common = plain(every)
    used = configurations(common)
    if not used:
        raise ResultsError("no served model was measured over gRPC, synchronously and without shared memory")
    places = _places(used)
    rows, columns = (1 + max(place[axis] for place in places.values()) for axis in (0, 1))
    figure, axes = new_figure(1.0 + 3.6 * columns, 0.8 + 3.4 * rows, rows, columns, sharex=True, sharey=True)
    for panel in axes.flat:
        panel.set_visible(False)
    for configuration, place in places.items():
        panel = axes[place]
        panel.set_visible(True)
        for series in all_series(common):
            _curve(panel, common, series, configuration)
        headline(panel, _named(configuration))
        panel.grid(axis="y")
        below = (place[0] + 1, place[1])
        panel.tick_params(labelbottom=below not in places.values())
    _powers_of_two(axes[0, 0], sorted({one.point.concurrency for one in common}))
    axes[0, 0].set_ylim(bottom=0.0, top=axes[0, 0].get_ylim()[1] * 1.3)
    axes[0, 0].legend(loc="upper left")
    axes[0, 0].set_ylabel("events / s")
    with_direct = any(not one.point.served for one in common)
    axes[max(places.values())].set_xlabel("requests in flight" + (" (direct: processes)" if with_direct else ""))
    return figure


def _places(used: Sequence[Configuration]) -> dict[Configuration, tuple[int, int]]:
    """Row and column of each configuration's panel: all in a row, or threads down and instances across."""
    if len(used) <= _ONE_ROW:
        return {configuration: (0, column) for column, configuration in enumerate(used)}
    threads, instances = (sorted({getattr(one, name) for one in used}) for name in ("threads", "instances"))
    return {one: (threads.index(one.threads), instances.index(one.instances)) for one in used}


def _powers_of_two(panel: Axes, numbers: Sequence[int]) -> None:
    panel.set_xscale("log", base=2)
    panel.set_xlim(numbers[0] / 1.3, numbers[-1] * 1.3)
    panel.xaxis.set_major_locator(FixedLocator(list(numbers)))
    panel.xaxis.set_minor_locator(NullLocator())
    panel.xaxis.set_major_formatter(ScalarFormatter())


def _curve(panel: Axes, every: Sequence[Repeats], series: Series, configuration: Configuration) -> None:
    """The direct pipeline has no instances beside its processes: its one curve for as many threads is in each panel."""
    direct = series.model == DIRECT
    points = [
        one
        for one in every
        if one.series == series
        and (one.point.threads == configuration.threads if direct else one.point.configuration == configuration)
    ]
    points.sort(key=lambda one: one.point.concurrency)
    values = [(one.point.concurrency, one.median_range("events_per_s")) for one in points]
    draw_ranges(panel, values, **look(series, all_series(every)))


def instances_plot(every: Sequence[Repeats]) -> Figure:
    """Throughput at saturation, and how many cores (and GPUs) are busy then, against instances.

    Raises:
        ResultsError: there is nothing to show.
    """
    common = plain(every)
    used = [one for one in configurations(common) if one.instances]
    if not used:
        raise ResultsError("no model of which the number of instances is known was measured")
    gpu = any(one.median("gpu_busy") >= 0.0 for one in common)
    names = {"events_per_s": "events / s", "busy_cores": "busy cores"} | ({"gpu_busy": "GPU busy"} if gpu else {})
    figure, axes = new_figure(7.5, 1.2 + 2.9 * len(names), len(names), 1, sharex=True)
    for panel, (name, label) in zip(axes.flat, names.items(), strict=True):
        _against_instances(panel, common, used, name)
        panel.set_ylabel(label)
        _from_zero(panel, 1.1)
        panel.margins(x=0.08)
        panel.xaxis.set_major_locator(FixedLocator(sorted({one.instances for one in used})))
    axes[0, 0].set_ylim(top=axes[0, 0].get_ylim()[1] * 1.35)
    axes[0, 0].legend(loc="upper left", ncols=2)
    headline(axes[0, 0], "at saturation, over requests in flight")
    axes[-1, 0].set_xlabel("instances of every model")
    return figure


def _against_instances(panel: Axes, every: Sequence[Repeats], used: Sequence[Configuration], figure: str) -> None:
    """A line for each served series and number of threads."""
    served = [one for one in all_series(every) if one.model != DIRECT]
    threads = sorted({configuration.threads for configuration in used})
    for series, (number, line) in product(served, zip(threads, cycle(_LINES))):
        best = {c.instances: saturation(every, series, c) for c in used if c.threads == number}
        how = look(series, served)
        how["label"] += f", {counted(number, 'thread')}"
        values = [(count, point.median_range(figure)) for count, point in best.items() if point is not None]
        draw_ranges(panel, values, linestyle=line, **how)


def latency_plot(every: Sequence[Repeats]) -> Figure:
    """Percentiles of the time from request to answer: one client, and where throughput saturates."""
    common = plain(every)
    found = all_series(common)
    threads = sorted({one.point.threads for one in common})
    alone = {one: single_client(common, one, next((t for t in threads if t), 1)) for one in found}
    full = {one: saturation(common, one) for one in found}
    figure, axes = new_figure(10.0, 4.4, 1, 2)
    _percentiles(axes[0, 0], alone)
    _percentiles(axes[0, 1], full, with_concurrency=True)
    headline(axes[0, 0], "one client")
    headline(axes[0, 1], "at saturation")
    axes[0, 0].set_ylabel("latency / ms")
    return figure


def _percentiles(panel: Axes, points: dict[Series, Repeats | None], *, with_concurrency: bool = False) -> None:
    present = {series: point for series, point in points.items() if point is not None}
    for place, (series, point) in enumerate(present.items()):
        how = look(series, list(points))
        how["label"] += f", {point.point.concurrency} in flight" if with_concurrency else ""
        shift = 0.2 * (place - (len(present) - 1) / 2)
        values = [(number + shift, point.median_range(column)) for number, column in enumerate(PERCENTILES)]
        draw_ranges(panel, values, linestyle="", **how)
    panel.set_xticks(range(len(PERCENTILES)), PERCENTILES.values())
    panel.set_xlim(-0.5, len(PERCENTILES) - 0.5)
    _from_zero(panel, 1.3)
    panel.set_xlabel("percentile of the events")
    if present:
        panel.legend(loc="upper left")


def _from_zero(panel: Axes, room: float) -> None:
    """Values from zero, with room above them, and no ticks between the numbers below."""
    panel.set_ylim(0.0, panel.get_ylim()[1] * room)
    panel.grid(axis="y")
    panel.xaxis.set_minor_locator(NullLocator())


def _named(configuration: Configuration) -> str:
    if not configuration.instances:
        return "as the server has it"
    return f"{counted(configuration.instances, 'instance')}, {counted(configuration.threads, 'thread')} each"
