"""A server that is running already, measured like one of ours: a user's own backend, or one on another machine."""

from __future__ import annotations

import datetime
import itertools
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tqdm import tqdm

from exatrkx_client.address import Address
from exatrkx_perf.binary import check_program, find_program
from exatrkx_perf.point import Point
from exatrkx_perf.results import Result, ResultsFile
from exatrkx_perf.served import Addresses, ServedPipeline
from exatrkx_perf.step_file import add_steps
from exatrkx_perf.sweeping import circumstances
from exatrkx_perf.triton_api import TritonApi

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from exatrkx_perf.events import Sample


@dataclass(frozen=True, slots=True, kw_only=True)
class ExistingServer:
    """What is measured, and how.

    Attributes:
        url: `host:port`, or with a scheme; see `exatrkx_client.address`.
        models: served pipelines, which are measured in turn.
        concurrencies: requests in flight.
        repeats: how often each point is measured.
        rounds: how often a window goes over all events.
        pid: the server's process on this machine, whose processor time and memory are then measured.
    """

    url: str
    models: Sequence[str]
    concurrencies: Sequence[int]
    repeats: int = 3
    rounds: int = 1
    pid: int | None = None

    def measure(self, sample: Sample, input_file: Path, folder: Path) -> None:
        """Measure every point and add it to `results.csv` and `steps.csv` in `folder`, with the next free repeats.

        Raises:
            ValueError: `url` is no address.
            ToolMissingError: perf_analyzer is not installed, or cannot run here.
            MeasurementError: the server does not answer, or refuses an event.
        """
        check_program(find_program())
        address = Address.parse(self.url)
        store = ResultsFile(folder / "results.csv")
        pipelines = {
            model: ServedPipeline(model, self._addresses(address), sample, input_file) for model in self.models
        }
        points = [
            Point(
                model=model,
                backends=served_backends(address, model),
                protocol=address.protocol,
                concurrency=concurrency,
                instances=0,
                threads=0,
                sample=sample.name,
            )
            for concurrency, model in itertools.product(self.concurrencies, self.models)
        ]
        first = 1 + max((one.point.repeat for one in store.results), default=-1)
        order = [point.at_repeat(first + repeat) for repeat in range(self.repeats) for point in points]
        for pipeline in pipelines.values():
            pipeline.warm_up(max(self.concurrencies))
        for point in tqdm(order, unit="point", file=sys.stderr):
            began = datetime.datetime.now(datetime.UTC)
            pipeline = pipelines[point.model]
            figures, steps = pipeline.measure(point, self.rounds * len(sample))
            add_steps(folder / "steps.csv", point, steps)
            store.add(Result(point, figures, circumstances(sample, pipeline.version, began)))
        for pipeline in pipelines.values():
            pipeline.close()

    def _addresses(self, address: Address) -> Addresses:
        grpc, http = (address.target if address.protocol == protocol else "" for protocol in ("grpc", "http"))
        return Addresses(grpc=grpc, http=http, pid=self.pid)


def served_backends(address: Address, model: str) -> str:
    """The backends of a served model, as far as its server tells: their names.

    Raises:
        MeasurementError: the server does not answer, or has no such model.
    """
    api = TritonApi(address)
    try:
        models = api.steps(model) or [model]
        configs = [api.config(name) for name in models]
    finally:
        api.close()
    return (
        ", ".join(sorted({config.get("backend") or config.get("platform", "") for config in configs})) + " (as found)"
    )
