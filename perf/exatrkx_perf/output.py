"""What becomes of saved results: the comparison's text, and the plots beside it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from exatrkx.reporting.plot_style import save
from exatrkx_perf.comparison import configurations, gather, plain
from exatrkx_perf.errors import ResultsError
from exatrkx_perf.plots import instances_plot, latency_plot, throughput_plot
from exatrkx_perf.results import Result, read_results
from exatrkx_perf.step_file import PointStep, read_steps
from exatrkx_perf.step_plot import step_plot
from exatrkx_perf.style import style

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

    from matplotlib.figure import Figure


def results_in(paths: Iterable[Path]) -> list[Result]:
    """The results of files, or of folders with a `results.csv`.

    Raises:
        ResultsError: one is missing or no such file, or there are no results at all.
    """
    found = [result for path in paths for result in read_results(path / "results.csv" if path.is_dir() else path)]
    if not found:
        raise ResultsError("no results: python perf/sweep.py measures some")
    return found


def steps_in(paths: Iterable[Path]) -> list[PointStep]:
    """The step times beside the results; none where there is no `steps.csv`."""
    files = [(path if path.is_dir() else path.parent) / "steps.csv" for path in paths]
    return [entry for file in dict.fromkeys(files) if file.exists() for entry in read_steps(file)]


def write_plots(results: Sequence[Result], steps: Sequence[PointStep], folder: Path) -> list[Path]:
    """Draw every plot for which there is something to draw.

    Returns:
        The files written.

    Raises:
        ToolMissingError: mplhep is not installed.
    """
    every = gather(results)
    threads = sorted({one.threads for one in configurations(plain(every))} - {0}) or [1]
    drawings: dict[str, Callable[[], Figure]] = {
        "throughput.png": lambda: throughput_plot(every),
        "instances.png": lambda: instances_plot(every),
        "latency.png": lambda: latency_plot(every),
        "steps.png": lambda: step_plot(steps, threads[0]),
    }
    written = []
    with style():
        for name, draw in drawings.items():
            try:
                save(draw(), folder / name)
            except ResultsError:  # nothing of this kind was measured
                continue
            written.append(folder / name)
    return written
