"""A sweep: every point that a file of results lacks is measured and added to it."""

from __future__ import annotations

import contextlib
import datetime
import itertools
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, cast

from tqdm import tqdm

from exatrkx_perf.binary import check_program, find_program
from exatrkx_perf.direct import DirectRequest, Kind, run_direct
from exatrkx_perf.errors import MeasurementError
from exatrkx_perf.grid import group
from exatrkx_perf.machine import commit, this_machine
from exatrkx_perf.results import Circumstances, Result, ResultsFile
from exatrkx_perf.servers import ServerSettings, serve
from exatrkx_perf.step_file import add_steps

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from exatrkx_perf.events import Sample
    from exatrkx_perf.point import Point
    from exatrkx_perf.served import ServedPipeline

WINDOWS: Final = 3
"""perf_analyzer reports the mean of so many windows; the direct pipeline is measured over as many events."""


@dataclass(frozen=True, slots=True)
class Sweep:
    """What is needed besides the points.

    Attributes:
        sample: the events.
        input_file: the same for perf_analyzer.
        folder: where results go: `results.csv`, `steps.csv`, `machine.json`, the servers' logs.
        rounds: how often a window goes over all events.
        servers: how servers are started.
    """

    sample: Sample
    input_file: Path
    folder: Path
    servers: ServerSettings
    rounds: int = 1

    def run(self, points: Sequence[Point]) -> list[str]:
        """Measure the points, in their order, that `results.csv` does not have yet.

        Returns:
            What could not be measured, one text for each point; those are tried again the next time.

        Raises:
            ResultsError: the file has results of another machine.
            ToolMissingError: perf_analyzer is not installed, or cannot run here.
        """
        machine = this_machine()
        store = ResultsFile(self.folder / "results.csv")
        store.check_machine(str(machine))
        self.folder.mkdir(parents=True, exist_ok=True)
        machine.save(self.folder / "machine.json")
        todo = [point for point in points if point not in store]
        if any(point.served for point in todo):
            check_program(find_program())
        problems: list[str] = []
        with tqdm(total=len(points), initial=len(points) - len(todo), unit="point", file=sys.stderr) as progress:
            for _, members in itertools.groupby(todo, key=group):
                problems += self._run_group(list(members), store, progress)
        return problems

    def _run_group(self, points: list[Point], store: ResultsFile, progress: tqdm[None]) -> list[str]:
        """Measure points that need the same servers."""
        problems = []
        with contextlib.ExitStack() as stack:
            pipelines: dict[str, ServedPipeline] = {}
            for model in dict.fromkeys(point.model for point in points if point.served):
                progress.set_description(f"starting {model}")
                server = serve(model, points[0].configuration, self.servers, self.sample, self.input_file)
                try:
                    pipelines[model] = stack.enter_context(server)
                except MeasurementError as error:
                    problems.append(str(error))
            for point in points:
                progress.set_description(str(point))
                if not point.served or point.model in pipelines:
                    try:
                        self._measure(point, pipelines.get(point.model), store)
                    except MeasurementError as error:
                        problems.append(f"{point}: {error}")
                progress.update()
        return problems

    def _measure(self, point: Point, pipeline: ServedPipeline | None, store: ResultsFile) -> None:
        began = datetime.datetime.now(datetime.UTC)
        window = self.rounds * len(self.sample)
        if pipeline is None:
            request = DirectRequest(
                repository=self.servers.repository,
                kind=cast("Kind", point.mode),
                workers=point.concurrency,
                threads=point.threads,
                events=WINDOWS * window,
            )
            figures, steps = run_direct(self.sample, request)
        else:
            figures, steps = pipeline.measure(point, window)
        add_steps(self.folder / "steps.csv", point, steps)
        server = pipeline.version if pipeline else ""
        store.add(Result(point, figures, circumstances(self.sample, server, began)))


def circumstances(sample: Sample, server: str, began: datetime.datetime) -> Circumstances:
    """What goes with every row."""
    sizes = sample.spacepoints
    return Circumstances(
        events=len(sample),
        spacepoints_mean=float(sizes.mean()),
        spacepoints_min=int(sizes.min()),
        spacepoints_max=int(sizes.max()),
        machine=str(this_machine()),
        server=server,
        commit=commit(),
        began=began.isoformat(timespec="seconds"),
    )
