"""Markdown tables of the comparison and of the step times, which are as readable in a terminal."""

from __future__ import annotations

from functools import partial
from itertools import product
from typing import TYPE_CHECKING

from exatrkx.reporting.markdown import markdown_table
from exatrkx_perf.comparison import (
    Repeats,
    Series,
    all_series,
    by_sample,
    configurations,
    figure_ratio,
    gather,
    pairs,
    plain,
    saturation,
    single_client,
)
from exatrkx_perf.points import COMPILED_ENSEMBLE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from exatrkx_perf.median_range import MedianRange
    from exatrkx_perf.results import PointStep, Result


def comparison_text(results: Sequence[Result]) -> str:
    """Everything that `perf/compare.py` prints."""
    every = gather(results)
    common = plain(every)
    sections = [metadata_text(results)]
    if len(by_sample(common)) > 1:
        sections += samples_text(common)
    else:
        sections += [best_text(common), saturation_text(common), latency_text(common), calling_text(every)]
    return "\n\n".join(section for section in sections if section)


def metadata_text(results: Sequence[Result]) -> str:
    """Where, when and with what; more than one of a kind is said."""
    lines = []
    for name in ("machine", "commit", "server"):
        values = dict.fromkeys(str(getattr(result.metadata, name)) for result in results)
        lines.append(f"{name}: {'; '.join(value for value in values if value)}")
    samples = {result.point.sample: result.metadata for result in results}
    lines += [
        f"events: {of.events} of {sample}, {of.spacepoints_min:,} to {of.spacepoints_max:,} spacepoints, "
        f"mean {of.spacepoints_mean:,.0f}"
        for sample, of in samples.items()
    ]
    repeats = len({result.point.repeat for result in results})
    lines.append(
        f"figures: median (range) of {repeats} repeats, measured in turn" if repeats > 1 else "figures: measured once"
    )
    return "\n".join(f"- {line}" for line in lines)


def best_text(every: Sequence[Repeats]) -> str:
    """Each series in the configuration in which it is fastest."""
    series = all_series(every)
    best = {one: point for one in series if (point := saturation(every, one)) is not None}
    rows = [
        [
            str(one),
            text(point.median_range("events_per_s"), ".1f"),
            str(point.point.configuration),
            str(point.point.concurrency),
            text(point.median_range("busy_cores"), ".2f"),
            text(point.median_range("cpu_ms_per_event"), ".1f"),
        ]
        for one, point in best.items()
    ]
    header = ["highest throughput", "events/s", "instances × threads", "in flight", "busy cores", "CPU ms/event"]
    lines = [table(header, rows)]
    lines += ratio_lines(series, lambda a, b: figure_ratio(best.get(a), best.get(b), "events_per_s"), "throughput")
    lines += ratio_lines(series, lambda a, b: figure_ratio(best.get(a), best.get(b), "cpu_ms_per_event"), "CPU time")
    return "\n".join(lines)


def saturation_text(every: Sequence[Repeats]) -> str:
    """Every series at saturation in each configuration, and the ratios in it."""
    rows = {str(one): partial(saturation, every, configuration=one) for one in configurations(every)}
    return ratios_table("events/s at saturation, instances × threads", "events_per_s", all_series(every), rows)


def latency_text(every: Sequence[Repeats]) -> str:
    """One client, one instance: the time from sending a request to its answer."""
    threads = sorted({one.point.threads for one in every if one.point.threads})
    rows = {str(number): partial(single_client, every, threads=number) for number in threads}
    return ratios_table("ms with one client, threads", "mean_ms", all_series(every), rows)


def samples_text(every: Sequence[Repeats]) -> list[str]:
    """Every series on the events of each sample: at saturation, and with one client and one thread."""
    series, samples = all_series(every), by_sample(every)
    full = {sample: partial(saturation, members) for sample, members in samples.items()}
    alone = {sample: partial(single_client, members, threads=1) for sample, members in samples.items()}
    return [
        ratios_table("events/s at saturation, events", "events_per_s", series, full, ".3g"),
        ratios_table("ms with one client, events", "mean_ms", series, alone, ".3g"),
        ratios_table("server's most resident memory, MiB, events", "rss_mib", series, full, ".0f"),
    ]


def ratios_table(
    title: str,
    figure: str,
    series: Sequence[Series],
    rows: Mapping[str, Callable[[Series], Repeats | None]],
    digits: str = ".1f",
) -> str:
    """A figure of every series, and the ratios of each two; the rows say which point of a series is taken."""
    cells = []
    for name, point_of in rows.items():
        points = {one: point_of(one) for one in series}
        values = [text(point.median_range(figure) if point else None, digits) for point in points.values()]
        ratios = [text(figure_ratio(points[a], points[b], figure), ".2f") for a, b in pairs(series)]
        cells.append([name, *values, *ratios])
    names = [f"{short(above)} / {short(below)}" for above, below in pairs(series)]
    return table([title, *map(short, series), *names], cells)


def calling_text(every: Sequence[Repeats]) -> str:
    """Other ways of calling a server, beside the plain one; empty where none was measured."""
    served = [one for one in every if one.point.served]
    ways = dict.fromkeys(one.point.way for one in served)
    if len(ways) < 2:  # noqa: PLR2004 - nothing to compare
        return ""
    rows = []
    for series, way in product(all_series(served), ways):
        points = [one for one in served if one.series == series and one.point.way == way]
        alone = [one for one in points if one.point.concurrency == 1]
        most = saturation(points, series)
        if most is not None:
            quickest = min(alone, key=lambda one: one.median("mean_ms"), default=None)
            latency = quickest.median_range("mean_ms") if quickest else None
            rows.append([short(series), *way, text(most.median_range("events_per_s"), ".1f"), text(latency, ".1f")])
    return table(["model", "protocol", "mode", "shared memory", "events/s at saturation", "ms with one client"], rows)


def steps_text(steps: Iterable[PointStep]) -> str:
    """Where the time goes: for each point its steps, means over the repeats."""
    found: dict[tuple[str, str, str], list[PointStep]] = {}
    for entry in steps:
        place = entry.point.at_repeat(0)
        name = f"{place.model} [{place.backends}]"
        way = f"{place.concurrency} in flight, {place.configuration}"
        found.setdefault((name, way, entry.time.step), []).append(entry)
    rows = []
    for (name, way, step), entries in found.items():
        times = [entry.time for entry in entries]
        means = [sum(getattr(time, column) for time in times) / len(times) for column in _TIMES]
        rows.append([name, way, step, *(f"{mean:.2f}" for mean in means)])
    return table(["model", "instances × threads", "step", "queue", "input", "infer", "output", "whole, ms"], rows)


_TIMES = ("queue_ms", "compute_input_ms", "compute_infer_ms", "compute_output_ms", "total_ms")


def ratio_lines(
    series: Sequence[Series], value: Callable[[Series, Series], MedianRange | None], what: str
) -> list[str]:
    """A line for each ratio that there is."""
    found = [(above, below, value(above, below)) for above, below in pairs(series)]
    return [f"- {what} {short(above)} / {short(below)}: {text(one, '.2f')}" for above, below, one in found if one]


def short(series: Series) -> str:
    """The model's name; for one of ours with the implementation of its backend, for the ensemble of the networks'."""
    if series.model == COMPILED_ENSEMBLE:
        return "ensemble, stages compiled"
    name = series.model.removeprefix("exatrkx_")
    implementation = series.backends.rpartition("(")[2].rstrip(")")
    return f"{name} ({implementation})" if name != series.model else name


def counted(number: int, noun: str) -> str:
    """Such as `1 thread`, `2 threads`."""
    return f"{number} {noun}{'s' if number > 1 else ''}"


def text(figure: MedianRange | None, spec: str) -> str:
    """A dash where nothing was measured."""
    return "–" if figure is None else format(figure, spec)


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table whose columns line up; empty without rows."""
    return "\n".join(markdown_table(header, rows, lined_up=True)) if rows else ""
