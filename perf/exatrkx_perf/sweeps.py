"""Sweeps: point after point is measured and added to a folder of results, with servers of ours or one that runs."""

from __future__ import annotations

import contextlib
import datetime
import itertools
import math
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final, cast

from exatrkx.errors import ExatrkxError
from exatrkx.progress import bar
from exatrkx_client.credentials import Credentials
from exatrkx_client.triton_api import TritonApi
from exatrkx_perf import MODEL_REPOSITORY
from exatrkx_perf.direct import Kind, run_direct
from exatrkx_perf.installation import check_program, find_program
from exatrkx_perf.points import Configuration, Point, group
from exatrkx_perf.results import Result, ResultsFolder
from exatrkx_perf.run_metadata import RunMetadata, this_machine
from exatrkx_perf.served import ServedPipeline

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from exatrkx_client.address import Address
    from exatrkx_perf.events import EventSample
    from exatrkx_perf.results import StepTime

WINDOWS: Final = 3
"""perf_analyzer measures so many windows; the direct pipeline is measured over as many events."""


FILLINGS: Final = 3
"""A window has at least this many requests for each in flight: with fewer it is mostly the filling and the emptying of
the steps that is measured, where they work on several events at once."""


Serve = Callable[[str, Configuration], AbstractContextManager[ServedPipeline]]
"""(model, configuration) → a server for it, ready and warm while in the `with`."""


def window_of(events: int, concurrency: int, rounds: int = 1) -> int:
    """Requests of a window: whole rounds over all events, and at least `FILLINGS` times those in flight."""
    return max(rounds, math.ceil(FILLINGS * concurrency / events)) * events


@dataclass(frozen=True, slots=True)
class Sweep:
    """What is needed besides the points.

    Attributes:
        folder: where results go: `results.csv`, `steps.csv`, `machine.json`, the servers' logs.
        repository: model repository of the direct pipeline.
        rounds: how often a window goes over all events; more often where it would have too few requests.
    """

    sample: EventSample
    folder: Path
    serve: Serve
    repository: Path = MODEL_REPOSITORY
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
        with bar(total=len(points), initial=len(points) - len(todo), unit="point") as progress:
            for _, members in itertools.groupby(todo, key=group):
                problems += self._run_group(list(members), store, progress)
        return problems

    def _run_group(self, points: list[Point], store: ResultsFolder, progress: Any) -> list[str]:
        """Measure points that need the same servers."""
        problems = []
        with contextlib.ExitStack() as stack:
            pipelines: dict[str, ServedPipeline] = {}
            for model in dict.fromkeys(point.model for point in points if point.served):
                progress.set_description(f"starting {model}")
                try:
                    pipelines[model] = stack.enter_context(self.serve(model, points[0].configuration))
                except ExatrkxError as error:
                    problems.append(f"{model}: {error}")
            for point in points:
                progress.set_description(str(point))
                if not point.served or point.model in pipelines:
                    try:
                        store.add(*self._measure(point, pipelines.get(point.model)))
                    except ExatrkxError as error:
                        problems.append(f"{point}: {error}")
                progress.update()
        return problems

    def _measure(self, point: Point, pipeline: ServedPipeline | None) -> tuple[Result, list[StepTime]]:
        began = datetime.datetime.now(datetime.UTC)
        window = window_of(len(self.sample), point.concurrency, self.rounds)
        if pipeline is None:
            figures, steps = run_direct(
                self.sample,
                self.repository,
                events=WINDOWS * window,
                kind=cast("Kind", point.mode),
                workers=point.concurrency,
                threads=point.threads,
            )
        else:
            figures, steps = pipeline.measure(point, window)
        server = pipeline.version if pipeline else ""
        return Result(point, figures, RunMetadata.of(self.sample, server, began)), steps


@dataclass(frozen=True, slots=True)
class RunningServer:
    """A server that is running already: a user's own backend, or one on another machine.

    Of a process `pid` on this machine CPU time and memory are measured.
    """

    address: Address
    pid: int | None = None
    credentials: Credentials = field(default_factory=Credentials)

    def points(self, models: Sequence[str], concurrencies: Sequence[int], sample: str) -> list[Point]:
        """Those of its models, each with its backends.

        Raises:
            ClientError: the server does not answer, or has no such model.
        """
        backends = {model: self.backends(model) for model in models}
        common = Point(model="", backends="", protocol=self.address.protocol, instances=0, threads=0, sample=sample)
        return [
            replace(common, model=model, backends=backends[model], concurrency=number)
            for number, model in itertools.product(concurrencies, models)
        ]

    def backends(self, model: str) -> str:
        """The backends of a served model, as far as its server tells: their names."""
        with TritonApi(self.address, credentials=self.credentials) as api:
            configs = [api.config(name) for name in api.steps(model) or [model]]
        names = sorted({config.get("backend") or config.get("platform", "") for config in configs})
        return f"{', '.join(names)} (as found)"

    @contextlib.contextmanager
    def serve(self, model: str, in_flight: int, sample: EventSample, input_file: Path) -> Iterator[ServedPipeline]:
        """One of its models, warm for so many requests in flight."""
        addresses = {str(self.address.protocol): self.address}
        found = ServedPipeline(
            model=model,
            addresses=addresses,
            sample=sample,
            input_file=input_file,
            pid=self.pid,
            credentials=self.credentials,
        )
        with contextlib.closing(found) as pipeline:
            pipeline.warm_up(in_flight)
            yield pipeline
