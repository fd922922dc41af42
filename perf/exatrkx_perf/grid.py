"""Which points a sweep measures, and in which order."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING

from exatrkx_perf.point import DIRECT, Configuration, Point

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence


@dataclass(frozen=True, slots=True, kw_only=True)
class Grid:
    """Every combination of these; see `exatrkx_perf.point.Point`.

    The direct pipeline has no protocol: it is measured once for each of `direct_modes`, with as many workers as the
    served models have requests in flight. Processes load a pipeline each, threads share one.
    """

    models: Sequence[str]
    configurations: Sequence[Configuration] = (Configuration(),)
    concurrencies: Sequence[int] = (1,)
    protocols: Sequence[str] = ("grpc",)
    modes: Sequence[str] = ("sync",)
    shared_memories: Sequence[str] = ("none",)
    direct_modes: Sequence[str] = ("processes",)

    def points(self, backends: Mapping[str, str], sample: str) -> list[Point]:
        """Its points for one repeat.

        Args:
            backends: which implementation runs each model; a column of the results.
            sample: name of the events.
        """
        return [
            Point(model=model, backends=backends[model], sample=sample, **choice)  # type: ignore[arg-type]  # by name
            for model in self.models
            for choice in (self._direct() if model == DIRECT else self._served())
        ]

    def _served(self) -> Iterator[dict[str, object]]:
        axes = (self.configurations, self.protocols, self.modes, self.shared_memories, self.concurrencies)
        for configuration, protocol, mode, memory, concurrency in itertools.product(*axes):
            yield {
                "protocol": protocol,
                "mode": mode,
                "shared_memory": memory,
                "concurrency": concurrency,
                "instances": configuration.instances,
                "threads": configuration.threads,
            }

    def _direct(self) -> Iterator[dict[str, object]]:
        threads = sorted({configuration.threads for configuration in self.configurations})
        for number, mode, concurrency in itertools.product(threads, self.direct_modes, self.concurrencies):
            yield {
                "protocol": "none",
                "mode": mode,
                "concurrency": concurrency,
                "instances": concurrency if mode == "processes" else 1,
                "threads": number,
            }


def interleaved(points: Sequence[Point], repeats: int) -> list[Point]:
    """All repeats of all points, in the order in which they are measured.

    Points that need the same servers come together, as servers take time to start. Within such a group the repeats
    are outermost and the models innermost (A B C, A B C, …), so that a slow drift of the machine meets all alike.
    """
    models = list(dict.fromkeys(point.model for point in points))

    def order(point: Point) -> tuple[int | str, ...]:
        calling = (point.protocol, point.shared_memory, point.mode) if point.served else ("", "", "")
        return (*group(point), point.repeat, *calling, point.concurrency, models.index(point.model))

    return sorted((point.at_repeat(repeat) for repeat in range(repeats) for point in dict.fromkeys(points)), key=order)


def group(point: Point) -> tuple[int, int]:
    """(threads, instances) of the servers that run while a point is measured.

    The direct pipeline needs none, and is measured among the points of as many instances as it has pipelines.
    """
    return (point.threads, point.instances)
