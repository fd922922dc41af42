"""Sweeps: point after point is measured and added to a folder of results, with servers of ours or one that runs."""

from __future__ import annotations

import contextlib
import datetime
import itertools
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, cast

from tqdm import tqdm

from exatrkx_perf.direct import DirectRequest, Kind, run_direct
from exatrkx_perf.errors import MeasurementError
from exatrkx_perf.installation import check_program, find_program
from exatrkx_perf.points import Point, group
from exatrkx_perf.results import Result, ResultsFolder
from exatrkx_perf.run_metadata import RunMetadata, this_machine
from exatrkx_perf.served import Addresses, ServedPipeline
from exatrkx_perf.servers import ServerSettings, serve
from exatrkx_perf.triton_statistics import TritonApi

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from exatrkx_client.address import Address
    from exatrkx_perf.events import Sample
    from exatrkx_perf.results import StepTime

    Measured = tuple[Result, list[StepTime]]

WINDOWS: Final = 3
"""perf_analyzer reports the mean of so many windows; the direct pipeline is measured over as many events."""


@dataclass(frozen=True, slots=True)
class Sweep:
    """What is needed besides the points.

    Attributes:
        sample: the events.
        input_file: the same for perf_analyzer.
        folder: where results go: `results.csv`, `steps.csv`, `machine.json`, the servers' logs.
        servers: how servers are started.
        rounds: how often a window goes over all events.
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
        store = ResultsFolder(self.folder)
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

    def _run_group(self, points: list[Point], store: ResultsFolder, progress: tqdm[None]) -> list[str]:
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
                        store.add(*self._measure(point, pipelines.get(point.model)))
                    except MeasurementError as error:
                        problems.append(f"{point}: {error}")
                progress.update()
        return problems

    def _measure(self, point: Point, pipeline: ServedPipeline | None) -> Measured:
        if pipeline is not None:
            return measure_served(point, pipeline, self.sample, self.rounds)
        began = datetime.datetime.now(datetime.UTC)
        request = DirectRequest(
            repository=self.servers.repository,
            kind=cast("Kind", point.mode),
            workers=point.concurrency,
            threads=point.threads,
            events=WINDOWS * self.rounds * len(self.sample),
        )
        figures, steps = run_direct(self.sample, request)
        return Result(point, figures, RunMetadata.of(self.sample, "", began)), steps


@dataclass(frozen=True, slots=True, kw_only=True)
class ExistingServer:
    """A server that is running already: a user's own backend, or one on another machine.

    Attributes:
        address: where it is.
        models: served pipelines, which are measured in turn.
        concurrencies: requests in flight.
        repeats: how often each point is measured.
        rounds: how often a window goes over all events.
        pid: the server's process on this machine, whose CPU time and memory are then measured.
    """

    address: Address
    models: Sequence[str]
    concurrencies: Sequence[int]
    repeats: int = 3
    rounds: int = 1
    pid: int | None = None

    def measure(self, sample: Sample, input_file: Path, folder: Path) -> None:
        """Measure every point and add it to the results in `folder`, with the next free repeats.

        Raises:
            ToolMissingError: perf_analyzer is not installed, or cannot run here.
            MeasurementError: the server does not answer, or refuses an event.
        """
        check_program(find_program())
        store = ResultsFolder(folder)
        points = self._points(sample, 1 + max((one.point.repeat for one in store.results), default=-1))
        with contextlib.ExitStack() as stack:
            pipelines = {}
            for model in self.models:
                pipeline = ServedPipeline(model, Addresses.of_server(self.address, self.pid), sample, input_file)
                stack.callback(pipeline.close)
                pipeline.warm_up(max(self.concurrencies))
                pipelines[model] = pipeline
            for point in tqdm(points, unit="point", file=sys.stderr):
                store.add(*measure_served(point, pipelines[point.model], sample, self.rounds))

    def _points(self, sample: Sample, first: int) -> list[Point]:
        points = [
            Point(
                model=model,
                backends=served_backends(self.address, model),
                protocol=self.address.protocol,
                concurrency=concurrency,
                instances=0,
                threads=0,
                sample=sample.name,
            )
            for concurrency, model in itertools.product(self.concurrencies, self.models)
        ]
        return [point.at_repeat(first + repeat) for repeat in range(self.repeats) for point in points]


def measure_served(point: Point, pipeline: ServedPipeline, sample: Sample, rounds: int) -> Measured:
    """The result of a served model at one point, and its steps."""
    began = datetime.datetime.now(datetime.UTC)
    figures, steps = pipeline.measure(point, rounds * len(sample))
    return Result(point, figures, RunMetadata.of(sample, pipeline.version, began)), steps


def served_backends(address: Address, model: str) -> str:
    """The backends of a served model, as far as its server tells: their names.

    Raises:
        MeasurementError: the server does not answer, or has no such model.
    """
    with contextlib.closing(TritonApi(address)) as api:
        configs = [api.config(name) for name in api.steps(model) or [model]]
    backends = sorted({config.get("backend") or config.get("platform", "") for config in configs})
    return f"{', '.join(backends)} (as found)"
