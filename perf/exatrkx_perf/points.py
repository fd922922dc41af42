"""Points of a sweep: what is measured, how it is called, with how much of the machine, and in which order."""

from __future__ import annotations

import itertools
from dataclasses import astuple, dataclass, replace
from typing import TYPE_CHECKING, Final

from exatrkx.contract import CUSTOM, ENSEMBLE

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

DIRECT: Final = "direct"
"""The model's name of the pipeline as a function call, without a server."""

COMPILED_ENSEMBLE: Final = f"{ENSEMBLE.name}:compiled"
"""The model's name of the ensemble on a server whose stages between the networks are compiled, too."""

MODELS: Final = (DIRECT, ENSEMBLE.name, COMPILED_ENSEMBLE, CUSTOM.name)


@dataclass(frozen=True, slots=True, kw_only=True)
class Configuration:
    """How much of a machine a pipeline is given; one server runs in one of them.

    Attributes:
        instances: of every served model; of the direct pipeline, how many of it there are. 0 where that is not known,
            as of a server that was found running.
        threads: computing threads of each process; 0 likewise.
    """

    instances: int = 1
    threads: int = 1

    def __str__(self) -> str:
        return f"{self.instances} × {self.threads}" if self.instances else "as found"


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """One point, and which time it is measured; perf/README.md explains each column."""

    model: str
    backends: str
    protocol: str = "grpc"
    mode: str = "sync"
    shared_memory: str = "none"
    concurrency: int = 1
    instances: int = 1
    threads: int = 1
    sample: str = ""
    repeat: int = 0

    @property
    def configuration(self) -> Configuration:
        return Configuration(instances=self.instances, threads=self.threads)

    @property
    def served(self) -> bool:
        return self.model != DIRECT

    @property
    def way(self) -> tuple[str, str, str]:
        """How it is called: protocol, mode, shared memory."""
        return (self.protocol, self.mode, self.shared_memory)

    @property
    def plain(self) -> bool:
        """Whether it is called in the way that models are compared by; without a server, as processes."""
        return self.way == (("grpc", "sync", "none") if self.served else ("none", "processes", "none"))

    def is_single_client(self, threads: int) -> bool:
        """Whether it is one request at a time and one instance of each model, of so many threads or as found."""
        return self.concurrency == 1 and self.instances in (0, 1) and self.threads in (0, threads)

    def key(self) -> tuple[str, ...]:
        """What tells points apart, as text: the same for a point and for its row in a file."""
        return tuple(map(str, astuple(self)))

    def at_repeat(self, repeat: int) -> Point:
        return replace(self, repeat=repeat)

    def __str__(self) -> str:
        way = f"{self.protocol} {self.mode}" if self.served else self.mode
        memory = " shm" if self.shared_memory != "none" else ""
        return f"{self.model} {way}{memory} c={self.concurrency} i={self.instances} t={self.threads} #{self.repeat}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Grid:
    """Every combination of these; see `Point`.

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
        """Its points for one repeat, with the backends of each model and the name of the events."""
        return [
            replace(choice, model=model, backends=backends[model], sample=sample)
            for model in self.models
            for choice in (self._direct() if model == DIRECT else self._served())
        ]

    def _served(self) -> Iterator[Point]:
        axes = (self.configurations, self.protocols, self.modes, self.shared_memories, self.concurrencies)
        for how, protocol, mode, memory, number in itertools.product(*axes):
            way = Point(model="", backends="", protocol=protocol, mode=mode, shared_memory=memory)
            yield replace(way, concurrency=number, instances=how.instances, threads=how.threads)

    def _direct(self) -> Iterator[Point]:
        threads = sorted({configuration.threads for configuration in self.configurations})
        for number, mode, workers in itertools.product(threads, self.direct_modes, self.concurrencies):
            instances = workers if mode == "processes" else 1
            way = Point(model=DIRECT, backends="", protocol="none", mode=mode)
            yield replace(way, concurrency=workers, instances=instances, threads=number)


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


def quick_plan(cores: int, models: Sequence[str]) -> list[Grid]:
    """What fits in ten minutes on two cores: one instance and thread, as many instances as cores, as many threads.

    More than four cores are not filled, which would take longer.
    """
    served = _without_direct(models)
    many = min(max(cores, 2), 4)
    one, instances, threads = Configuration(), Configuration(instances=many), Configuration(threads=many)
    return [
        Grid(models=models, configurations=[one], concurrencies=(1,)),
        Grid(models=served, configurations=[one], concurrencies=(many, 2 * many)),
        Grid(models=models, configurations=[instances], concurrencies=(many,)),
        Grid(models=served, configurations=[instances], concurrencies=(2 * many, 4 * many)),
        Grid(models=models, configurations=[threads], concurrencies=(1,)),
        Grid(models=served, configurations=[threads], concurrencies=(many,)),
    ]


def pileup_plan(cores: int, models: Sequence[str]) -> list[Grid]:
    """The served models beside each other with one client, and at saturation: for a sample of each pile-up."""
    served, many = _without_direct(models), min(max(cores, 2), 4)
    return [
        Grid(models=served),
        Grid(models=served, configurations=[Configuration(instances=many)], concurrencies=(2 * many,)),
    ]


def full_plan(models: Sequence[str]) -> list[Grid]:
    """Everything against everything where that means something; an hour or two on two cores.

    The ways of calling (protocol, mode, shared memory) are compared with one instance and with two.
    """
    every = [Configuration(instances=count, threads=number) for number in (1, 2) for count in range(1, 6)]
    some = [Configuration(), Configuration(instances=2)]
    return [
        Grid(
            models=models, configurations=every, concurrencies=(1, 2, 4, 8, 16), direct_modes=("processes", "threads")
        ),
        Grid(
            models=_without_direct(models),
            configurations=some,
            concurrencies=(1, 4),
            protocols=("grpc", "http"),
            modes=("sync", "async"),
            shared_memories=("none", "system"),
        ),
    ]


def _without_direct(models: Sequence[str]) -> list[str]:
    return [model for model in models if model != DIRECT]
